/* What hyperv mode needs of this host, thing by thing, in the words that a start would fail with. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/hyperv-template.h"

struct doctor {
	hyperv_need_fn *fn;
	void *data;
	bool ok;
};

static void tell(struct doctor *d, const char *what, bool ok, bool required, const char *text)
{
	struct hyperv_need n = {.what = what, .ok = ok, .required = required};

	snprintf(n.text, sizeof(n.text), "%s", text);
	d->ok = d->ok && (ok || !required);
	d->fn(d->data, &n);
}

static void look_kernel(struct doctor *d, const struct isolation_host *h)
{
	struct err e = ERR_INIT;
	struct kernel k;
	char newest[160], text[400];

	if (kernel_find(h, &k, &e) < 0) {
		tell(d, "guest kernel", false, true, e.msg);
		return;
	}
	snprintf(text, sizeof(text), "%.100s, %s", k.version, k.origin);
	tell(d, "guest kernel", true, true, text);
	bool built = kernel_is_built(k.version);
	if (k.own || kernel_candidate(built, newest, sizeof(newest), &e) < 0 || strverscmp(newest, k.version) <= 0)
		return;
	snprintf(text, sizeof(text),
		built ? "%.100s was built, and apt's source would give %.100s: run 'make kernel'"
		      : "%.100s is in use, and apt has %.100s: run 'caisson kernel update'",
		k.version, newest);
	tell(d, "guest kernel is current", false, false, text);
}

static void look_kvm(struct doctor *d, const struct isolation_host *h)
{
	struct err e = ERR_INIT;

	if (accel_check(h, &e) < 0)
		tell(d, "acceleration", false, true, e.msg);
	else if (access("/dev/kvm", R_OK | W_OK) < 0)
		tell(d, "acceleration", false, false,
			"no usable /dev/kvm: emulation (TCG), which is slow and no hardware boundary; turn on "
			"virtualization in the firmware");
	else
		tell(d, "acceleration", true, false,
			"/dev/kvm opens; whether a guest boots with it is tried at the first start");
}

static void look_templates(struct doctor *d, const struct isolation_host *h)
{
	_cleanup_free_ struct template_info *v = NULL;
	size_t n, damaged = 0;
	char text[160], why[512];

	int r = template_list(h, false, &v, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		damaged += v[i].damaged;
	if (r < 0)
		snprintf(text, sizeof(text), "cannot be read: %s", strerror(-r));
	else if (damaged)
		snprintf(text, sizeof(text), "%zu, %zu of them damaged: see 'caisson template ls'", n, damaged);
	else if (n)
		snprintf(text, sizeof(text), "%zu, which virtual machines are cloned from", n);
	else
		snprintf(text, sizeof(text), "none yet: the first start makes one, or 'caisson template build'");
	tell(d, "templates", r == 0 && !damaged, false, text);
	if (template_last_failure(h, why, sizeof(why)))
		tell(d, "template", false, false, why);
}

static void look_program(struct doctor *d, const char *name, const char *package)
{
	char path[1024], text[1200];
	bool ok = proc_find_program(name, path, sizeof(path));

	if (ok)
		snprintf(text, sizeof(text), "%s", path);
	else
		snprintf(text, sizeof(text), "%s not found: apt-get install %s", name, package);
	tell(d, name, ok, true, text);
}

bool hyperv_doctor(const struct isolation_host *h, hyperv_need_fn *fn, void *data)
{
	struct doctor d = {.fn = fn, .data = data, .ok = true};
	struct err e = ERR_INIT;
	char path[1024];
	_cleanup_free_ char *agent = path_join(h->libexec_dir, "caisson-agent");

	bool ok = qemu_find(h, path, sizeof(path), &e) == 0;
	tell(&d, "qemu", ok, true, ok ? path : e.msg);
	ok = virtiofsd_find(h, path, sizeof(path), &e) == 0;
	tell(&d, "virtiofsd", ok, true, ok ? path : e.msg);
	look_program(&d, "mkfs.ext4", "e2fsprogs");
	look_program(&d, "mkfs.erofs", "erofs-utils");
	look_kernel(&d, h);
	ok = agent && access(agent, R_OK) == 0;
	tell(&d, "agent", ok, true, ok ? agent : "caisson-agent is not installed: run 'make install'");
	look_kvm(&d, h);
	look_templates(&d, h);
	return d.ok;
}
