/* caisson info */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"

#include "config.h"

static const struct opt options[] = {
	{"format", 'f', &opt_string, NULL, "Output by a template or as 'json'"},
	{0},
};

/* The lines in docker's order; indented ones belong to the one before. What the engine does not tell has no
 * line. */
static const struct {
	const char *label, *field;
	bool bytes;
} lines[] = {
	{" Containers", "Containers", false},
	{"  Running", "ContainersRunning", false},
	{"  Paused", "ContainersPaused", false},
	{"  Stopped", "ContainersStopped", false},
	{" Images", "Images", false},
	{" Server Version", "ServerVersion", false},
	{" Storage Driver", "Driver", false},
	{" Logging Driver", "LoggingDriver", false},
	{" Cgroup Driver", "CgroupDriver", false},
	{" Cgroup Version", "CgroupVersion", false},
	{" Default Isolation", "Isolation", false},
	{" Acceleration", "Acceleration", false},
	{"  Setting", "AccelerationSetting", false},
	{"  Promise", "AccelerationPromise", false},
	{" Guest Kernel", "GuestKernel", false},
	{"  Origin", "GuestKernelOrigin", false},
	{" Templates", "Templates", false},
	{" Kernel Version", "KernelVersion", false},
	{" Operating System", "OperatingSystem", false},
	{" OSType", "OSType", false},
	{" Architecture", "Architecture", false},
	{" CPUs", "NCPU", false},
	{" Total Memory", "MemTotal", true},
	{" Name", "Name", false},
	{" ID", "ID", false},
	{" Caisson Root Dir", "DockerRootDir", false},
	{" Caisson Run Dir", "RunDir", false},
};

static void print_bytes(int64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double v = (double)bytes;
	size_t i = 0;

	for (; v >= 1024 && i < 5; i++)
		v /= 1024;
	printf("%.4g%s\n", v, units[i]);
}

static void print_line(const char *label, const json_t *v, bool bytes)
{
	printf("%s: ", label);
	if (json_is_integer(v) && bytes)
		print_bytes(json_integer_value(v));
	else if (json_is_integer(v))
		printf("%lld\n", (long long)json_integer_value(v));
	else if (json_is_string(v) && json_string_length(v))
		printf("%s\n", json_string_value(v));
	else
		printf("unknown\n");
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *info = NULL;
	const char *format = opts_str(o, "format");
	struct engine *g = cli_engine(c, e);
	size_t i;
	json_t *warning;
	int r = g ? engine_info(g, &info, e) : -e->code;

	if (r < 0)
		return r;
	if (!str_empty(format))
		return format_print_object(format, info, e);
	printf("Client:\n Version:    %s\n Debug Mode: %s\n\nServer:\n", CAISSON_VERSION,
		getenv("CAISSON_DEBUG") ? "true" : "false");
	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const json_t *v = json_object_get(info, lines[i].field);
		if (v)
			print_line(lines[i].label, v, lines[i].bytes);
	}
	json_array_foreach(json_object_get(info, "Warnings"), i, warning)
		cli_notice(NULL, json_string_value(warning) ? json_string_value(warning) : "");
	return 0;
}

const struct command cmd_info = {
	.name = "info",
	.synopsis = "[OPTIONS]",
	.summary = "Show what the host is and how containers run on it",
	.options = {options},
	.use_status = true,
	.run = run,
};
