/*
 * Layers come. Each goes through these states, several side by side in one loop around curl_multi_poll, which also watches the unpacking children:
 *
 *	WAITING -> DOWNLOADING -> DOWNLOADED -> UNPACKING -> DONE        (DONE at once: here already)
 */
#include "image/blobs.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "image/layers.h"
#include "store/db.h"

enum { DOWNLOADS = 3, UNPACKS = 2, POLL_MS = 1000 };

enum state { WAITING, DOWNLOADING, DOWNLOADED, UNPACKING, DONE };

struct blob {
	enum state state;
	const struct descriptor *what;
	const char *diff_id;
	size_t same_as; /* an earlier layer with the same content, or its own number */
	struct fetch *fetch;
	uint64_t retry_ms; /* not before */
	struct layer_job job;
	struct image_layer *ret;
};

struct work {
	struct registry *registry;
	struct progress *progress;
	CURLM *multi;
	int layers, blobs_fd;
	size_t n, n_new;
	struct blob blobs[LAYERS_MAX];
};

static void work_done(struct work **pw)
{
	struct work *w = *pw;

	for (size_t i = 0; w && i < w->n; i++) {
		struct blob *b = &w->blobs[i];
		if (b->fetch && b->state == DOWNLOADING && !b->retry_ms)
			curl_multi_remove_handle(w->multi, fetch_handle(b->fetch));
		if (b->state == DOWNLOADING && b->fetch && fetch_may_go_on(b->fetch))
			blob_place_leave(&b->job.blob);
		fetch_free(b->fetch);
		layer_job_done(&b->job);
	}
	if (w) {
		curl_multi_cleanup(w->multi);
		close_fd(&w->layers);
		close_fd(&w->blobs_fd);
	}
	free(w);
}

static size_t count(const struct work *w, enum state s)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		n += w->blobs[i].state == s;
	return n;
}

static void show(struct work *w, const struct blob *b, const char *text, uint64_t done)
{
	progress_set(w->progress, (size_t)(b - w->blobs), text, done,
		done || b->state == DOWNLOADING ? (uint64_t)b->what->size : 0);
}

static int fail(const struct blob *b, struct err *e)
{
	return err_wrap(e, "layer %s", b->what->digest);
}

/* What is here, what must come. */
static int set_up(struct work *w, struct db *d, const struct manifest *m, const struct image_config *c,
	struct image_layer *ret, struct err *e)
{
	for (size_t i = 0; i < m->n_layers; i++) {
		struct blob *b = &w->blobs[w->n++];
		*b = (struct blob){.what = &m->layers[i],
			.diff_id = c->diff_ids[i],
			.same_as = i,
			.job = LAYER_JOB_INIT,
			.ret = &ret[i]};
		progress_id(w->progress, i, b->what->digest);
		int r = layer_is_here(d, w->blobs_fd, b->diff_id, b->ret, e);
		if (r < 0)
			return r;
		for (size_t k = 0; k < i && b->same_as == i; k++)
			if (!strcmp(w->blobs[k].diff_id, b->diff_id))
				b->same_as = k;
		if (r > 0 || b->same_as != i) {
			b->state = DONE;
			show(w, b, "Already exists", 0);
		} else {
			show(w, b, "Pulling fs layer", 0);
			w->n_new++;
		}
	}
	return 0;
}

static int download_ended(struct work *w, struct blob *b, CURLcode result, struct err *e)
{
	unsigned delay;

	curl_multi_remove_handle(w->multi, fetch_handle(b->fetch));
	b->retry_ms = clock_mono_ms(); /* not in the multi handle now */
	int r = registry_fetch_end(w->registry, b->fetch, result, &delay, e);
	if (r < 0)
		return fail(b, e);
	if (r > 0) {
		b->retry_ms = clock_mono_ms() + delay;
		show(w, b, "Retrying", 0);
		return 0;
	}
	fetch_free(steal_ptr(b->fetch));
	b->state = DOWNLOADED;
	show(w, b, "Download complete", 0);
	return 0;
}

static int start_download(struct work *w, struct blob *b, struct err *e)
{
	int r = blob_place_resume(w->blobs_fd, b->what->digest, &b->job.blob, e);
	if (r == 0)
		r = registry_fetch(w->registry, b->what, b->job.blob.fd, &b->fetch, e);
	if (r < 0)
		return r;
	b->state = DOWNLOADING;
	if (fetch_is_whole(b->fetch)) {
		curl_multi_add_handle(w->multi, fetch_handle(b->fetch));
		return download_ended(w, b, CURLE_OK, e);
	}
	return curl_multi_add_handle(w->multi, fetch_handle(b->fetch)) == CURLM_OK ? 0 : err_nomem(e);
}

static int start_unpack(struct work *w, struct blob *b, struct err *e)
{
	int r = layer_job_start(&b->job, w->layers, w->blobs_fd, b->what->digest, e);

	if (r < 0)
		return r;
	b->state = UNPACKING;
	show(w, b, "Extracting", 0);
	return 0;
}

static int start_some(struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->n; i++) {
		struct blob *b = &w->blobs[i];
		int r = 0;
		if (b->state == WAITING && count(w, DOWNLOADING) < DOWNLOADS)
			r = start_download(w, b, e);
		else if (b->state == DOWNLOADED && count(w, UNPACKING) < UNPACKS)
			r = start_unpack(w, b, e);
		else if (b->state == WAITING)
			show(w, b, "Waiting", 0);
		if (b->state == DOWNLOADING && b->retry_ms && clock_mono_ms() >= b->retry_ms) {
			b->retry_ms = 0;
			r = curl_multi_add_handle(w->multi, fetch_handle(b->fetch)) == CURLM_OK ? 0 : err_nomem(e);
		}
		if (r < 0)
			return fail(b, e);
	}
	return 0;
}

static int watch_downloads(struct work *w, struct err *e)
{
	CURLMsg *m;
	int running, left;

	curl_multi_perform(w->multi, &running);
	while ((m = curl_multi_info_read(w->multi, &left))) {
		CURLcode result = m->data.result;
		for (size_t i = 0; i < w->n; i++)
			if (m->msg == CURLMSG_DONE && w->blobs[i].fetch &&
				fetch_handle(w->blobs[i].fetch) == m->easy_handle) {
				int r = download_ended(w, &w->blobs[i], result, e);
				if (r < 0)
					return r;
				break;
			}
	}
	for (size_t i = 0; i < w->n; i++)
		if (w->blobs[i].state == DOWNLOADING && !w->blobs[i].retry_ms)
			show(w, &w->blobs[i], "Downloading", fetch_bytes(w->blobs[i].fetch));
	return 0;
}

static int unpack_goes_on(struct work *w, struct blob *b, struct err *e)
{
	uint64_t used;
	int64_t newest;
	int r = layer_job_read(&b->job, b->diff_id, &used, b->ret, &newest, e);

	if (r > 0) {
		show(w, b, "Extracting", used);
		return 0;
	}
	if (r < 0)
		return fail(b, e);
	b->state = DONE;
	show(w, b, "Pull complete", 0);
	return 0;
}

static int wait_for_any(struct work *w, struct err *e)
{
	struct curl_waitfd fds[UNPACKS];
	struct blob *of[UNPACKS];
	unsigned n = 0;
	int timeout = POLL_MS;

	for (size_t i = 0; i < w->n; i++) {
		struct blob *b = &w->blobs[i];
		if (b->state == UNPACKING) {
			of[n] = b;
			fds[n++] = (struct curl_waitfd){.fd = b->job.unpack.fd, .events = CURL_WAIT_POLLIN};
		} else if (b->state == DOWNLOADED && count(w, UNPACKING) < UNPACKS) {
			return 0;
		} else if (b->retry_ms && b->state == DOWNLOADING) {
			timeout = 100;
		}
	}
	if (curl_multi_poll(w->multi, fds, n, timeout, NULL) != CURLM_OK)
		return err_set(e, EIO, "wait for the registry");
	for (unsigned i = 0; i < n; i++)
		if (fds[i].revents) {
			int r = unpack_goes_on(w, of[i], e);
			if (r < 0)
				return r;
		}
	return 0;
}

int blobs_pull(struct db *d, struct registry *r, const struct manifest *m, const struct image_config *c,
	struct progress *p, struct image_layer *ret, size_t *ret_new, struct err *e)
{
	_cleanup_(work_done) struct work *w = calloc(1, sizeof(*w));

	if (!w)
		return err_nomem(e);
	*w = (struct work){.registry = r, .progress = p, .layers = -1, .blobs_fd = -1, .multi = curl_multi_init()};
	int code = w->multi ? layers_open(d, &w->layers, e) : err_nomem(e);
	if (code == 0)
		code = blobs_open(d, &w->blobs_fd, e);
	if (code == 0)
		code = set_up(w, d, m, c, ret, e);
	while (code == 0 && count(w, DONE) < w->n) {
		code = start_some(w, e);
		if (code == 0)
			code = watch_downloads(w, e);
		if (code == 0 && count(w, DONE) < w->n)
			code = wait_for_any(w, e);
	}
	for (size_t i = 0; code == 0 && i < w->n; i++)
		if (w->blobs[i].same_as != i)
			ret[i] = ret[w->blobs[i].same_as];
	*ret_new = w->n_new;
	return code;
}
