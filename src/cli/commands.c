/* The list of commands, and the names they have under "container", "image", "network" and so on. */
#include "cli/cmd.h"

#include <string.h>

const struct command *const commands[] = {
	&cmd_attach,
	&cmd_audit,
	&cmd_commit,
	&cmd_cp,
	&cmd_create,
	&cmd_diff,
	&cmd_doctor,
	&cmd_events,
	&cmd_exec,
	&cmd_export,
	&cmd_history,
	&cmd_images,
	&cmd_import,
	&cmd_info,
	&cmd_inspect,
	&cmd_kill,
	&cmd_load,
	&cmd_login,
	&cmd_logout,
	&cmd_logs,
	&cmd_pause,
	&cmd_port,
	&cmd_ps,
	&cmd_pull,
	&cmd_push,
	&cmd_rename,
	&cmd_restart,
	&cmd_rm,
	&cmd_rmi,
	&cmd_run,
	&cmd_save,
	&cmd_start,
	&cmd_stats,
	&cmd_stop,
	&cmd_tag,
	&cmd_top,
	&cmd_unpause,
	&cmd_update,
	&cmd_version,
	&cmd_wait,
	NULL,
};

const struct command_group command_groups[] = {
	{"container", "Manage containers",
		{
			{"attach", &cmd_attach},
			{"audit", &cmd_audit},
			{"commit", &cmd_commit},
			{"cp", &cmd_cp},
			{"create", &cmd_create},
			{"diff", &cmd_diff},
			{"exec", &cmd_exec},
			{"export", &cmd_export},
			{"inspect", &cmd_container_inspect},
			{"kill", &cmd_kill},
			{"logs", &cmd_logs},
			{"ls", &cmd_ps},
			{"list", &cmd_ps},
			{"pause", &cmd_pause},
			{"ps", &cmd_ps},
			{"port", &cmd_port},
			{"prune", &cmd_container_prune},
			{"rename", &cmd_rename},
			{"restart", &cmd_restart},
			{"rm", &cmd_rm},
			{"run", &cmd_run},
			{"start", &cmd_start},
			{"stats", &cmd_stats},
			{"stop", &cmd_stop},
			{"top", &cmd_top},
			{"unpause", &cmd_unpause},
			{"update", &cmd_update},
			{"wait", &cmd_wait},
		}},
	{"image", "Manage images",
		{
			{"history", &cmd_history},
			{"import", &cmd_import},
			{"inspect", &cmd_image_inspect},
			{"load", &cmd_load},
			{"ls", &cmd_images},
			{"list", &cmd_images},
			{"prune", &cmd_image_prune},
			{"pull", &cmd_pull},
			{"push", &cmd_push},
			{"rm", &cmd_rmi},
			{"remove", &cmd_rmi},
			{"save", &cmd_save},
			{"tag", &cmd_tag},
		}},
	{"kernel", "Manage the kernels that utility VMs boot",
		{
			{"ls", &cmd_kernel_ls},
			{"update", &cmd_kernel_update},
			{"use", &cmd_kernel_use},
		}},
	{"network", "Manage networks",
		{
			{"connect", &cmd_network_connect},
			{"create", &cmd_network_create},
			{"disconnect", &cmd_network_disconnect},
			{"inspect", &cmd_network_inspect},
			{"ls", &cmd_network_ls},
			{"list", &cmd_network_ls},
			{"prune", &cmd_network_prune},
			{"reload", &cmd_network_reload},
			{"rm", &cmd_network_rm},
			{"remove", &cmd_network_rm},
		}},
	{"system", "Manage Caisson",
		{
			{"df", &cmd_system_df},
			{"doctor", &cmd_doctor},
			{"events", &cmd_events},
			{"info", &cmd_info},
			{"prune", &cmd_system_prune},
			{"rebuild", &cmd_system_rebuild},
			{"restart", &cmd_system_restart},
		}},
	{"template", "Manage the virtual machines that others are cloned from",
		{
			{"build", &cmd_template_build},
			{"ls", &cmd_template_ls},
			{"list", &cmd_template_ls},
			{"rm", &cmd_template_rm},
			{"remove", &cmd_template_rm},
		}},
	{"volume", "Manage volumes",
		{
			{"create", &cmd_volume_create},
			{"inspect", &cmd_volume_inspect},
			{"ls", &cmd_volume_ls},
			{"list", &cmd_volume_ls},
			{"prune", &cmd_volume_prune},
			{"rm", &cmd_volume_rm},
			{"remove", &cmd_volume_rm},
		}},
	{0},
};

const struct command *command_find(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

const struct command_group *command_group_find(const char *name)
{
	for (const struct command_group *g = command_groups; g->name; g++)
		if (!strcmp(g->name, name))
			return g;
	return NULL;
}

const struct command *command_group_command(const struct command_group *g, const char *name)
{
	for (size_t i = 0; g->commands[i].name; i++)
		if (!strcmp(g->commands[i].name, name))
			return g->commands[i].command;
	return NULL;
}
