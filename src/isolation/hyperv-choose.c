/*
 * What a VM is cloned from: the template of its image, else that of its shape, else nothing: it boots. And what is missing and so to be built once the
 * workload runs, when nobody waits for it.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "isolation/hyperv-life.h"

/* Clocks of the guest's run at the speed that was measured when the template was built. */
static bool same_clock(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) <= b / 1000;
}

static int find_template(struct hyperv *h, const struct template_name *n, uint64_t image, struct err *e)
{
	const struct isolation_host *host = h->isolate->host;
	int r = template_open(host, n, &h->template, e);

	h->template_name = *n;
	if (r == 0 &&
		(h->template.footer.image != image ||
			!same_clock(h->template.footer.tsc_khz, h->parts.config.tsc_khz))) {
		template_close(&h->template);
		template_remove(host, h->template_name.text, e);
		r = -ENOENT;
	}
	return r;
}

/* A container that has written nothing yet gets a copy of the disk that the template's guest has mounted. It is filled while QEMU starts. */
static int use_its_disk(struct hyperv *h, struct err *e)
{
	struct vm_config *c = &h->parts.config;
	int fd = template_begin_disk(h->isolate->plan->disk, &h->template.footer, e);

	if (fd < 0)
		return fd;
	c->scratch = fd;
	h->disk_due = true;
	close_fd(&c->disk);
	return 0;
}

/* What virtiofsd is to see must be mapped shared, so it cannot be the template's own. */
static int choose_memory(struct hyperv *h, struct err *e)
{
	struct vm_config *c = &h->parts.config;

	c->ram = share_needed(h->isolate->plan) ? template_make_copy(&h->template) : h->template.memory;
	return c->ram < 0 ? err_errno(e, c->ram, "make the memory of the VM") : 0;
}

/* The first of a generation is waited for, others (-ENOENT) are built afterwards. Not soon again after one that could not be built. */
static int make_template(struct hyperv *h, const struct template_name *n, struct err *e)
{
	const struct isolation_host *host = h->isolate->host;
	struct vm_config c = h->parts.config;
	char why[512];
	bool failed = template_failed_lately(host, n->text, why, sizeof(why));

	if (template_any(host, n)) {
		if (!failed) {
			h->missing = *n;
			h->missing_image = false;
		}
		return -ENOENT;
	}
	if (failed)
		return err_set(e, EAGAIN, "%s (tried a while ago; 'caisson template build' tries it again)", why);
	isolate_report_notice(
		h->isolate, "making the template of utility VMs, once for this host: later starts are faster");
	*e = ERR_INIT;
	c.image = -1;
	return template_build(host, n, &c, true, e);
}

/* All that a clone of this one needs. image: the hash of the image that it must have mounted; 0: none. */
static int use_template(struct hyperv *h, const struct template_name *n, uint64_t image, bool new_disk, struct err *e)
{
	int r = find_template(h, n, image, e);

	isolate_report_phase(h->isolate, TIMING_TEMPLATE);
	if (r == 0)
		r = choose_memory(h, e);
	if (r == 0 && new_disk)
		r = use_its_disk(h, e);
	if (r < 0) {
		template_close(&h->template);
		h->parts.config.ram = -1;
	}
	return r;
}

/* One with the image mounted, for a container that has written nothing. Where there is none, it is made afterwards if this is not the image's first start. */
static int use_image_template(struct hyperv *h, const struct template_name *shape, struct err *e)
{
	const struct isolation_host *host = h->isolate->host;
	struct template_name n;
	char why[512];

	if (host->image_templates == IMAGE_TEMPLATES_NEVER)
		return -ENOENT;
	template_image_name(shape, h->isolate->plan->image_erofs, &n);
	int r = use_template(h, &n, template_image_hash(h->parts.config.image), true, e);
	if (r == -ENOENT && host->image_templates == IMAGE_TEMPLATES_AUTO && template_wanted_again(host, &n) &&
		!template_failed_lately(host, n.text, why, sizeof(why)) && template_room_for_image(host)) {
		h->missing = n;
		h->missing_image = true;
	}
	return r;
}

/* Without one the VM boots, whatever the reason. */
void hyperv_choose_template(struct hyperv *h)
{
	const struct isolation_host *host = h->isolate->host;
	struct vm_config *c = &h->parts.config;
	struct template_name shape;
	struct err e = ERR_INIT;

	if (h->isolate->plan->fresh_boot)
		return;
	bool new_disk = hyperv_disk_is_new(c->disk);
	int r = template_name(host, &h->kernel, c, &shape, &e);
	if (r == 0 && (!new_disk || use_image_template(h, &shape, &e) < 0)) {
		r = use_template(h, &shape, 0, new_disk, &e);
		if (r == -ENOENT)
			r = make_template(h, &shape, &e);
		if (r == 0 && h->template.memory < 0)
			r = use_template(h, &shape, 0, new_disk, &e);
	}
	if (r < 0 && r != -ENOENT)
		isolate_report_notice(h->isolate, "no template, the VM boots: %s", e.msg);
	c->clone = r == 0;
}

void hyperv_build_missing(struct hyperv *h)
{
	if (*h->missing.text)
		template_build_aside(h->isolate->host, &h->kernel, &h->missing, &h->parts.config,
			h->missing_image ? h->isolate->plan->image_erofs : NULL);
	*h->missing.text = 0;
}
