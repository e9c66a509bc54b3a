/* Manifests, indexes and image configurations. */
#include "image/manifest.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"

#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX       "application/vnd.oci.image.index.v1+json"

const char *const manifest_media_types[] = {DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX, NULL};

static const char *const layer_types[] = {"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd", "application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.oci.image.layer.v1.tar+zstd", NULL};
static const char *const config_types[] = {
	"application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json", NULL};
enum { CHILDREN_MAX = 1024 };

int descriptor_parse(const json_t *j, const char *what, const char *const *types, struct descriptor *ret, struct err *e)
{
	const char *type = json_str(j, "mediaType"), *digest = json_str(j, "digest");
	int64_t size = json_int(j, "size", -1);

	if (!json_is_object(j))
		return err_set(e, EBADMSG, "manifest: no %s", what);
	if (!digest_valid(digest))
		return err_set(e, EBADMSG, "manifest: %s: '%.80s' is not a sha256 digest", what, digest ? digest : "");
	if (size < 0)
		return err_set(e, EBADMSG, "manifest: %s: no valid size", what);
	if (type && (strstr(type, "foreign") || strstr(type, "nondistributable")))
		return err_set(e, ENOTSUP, "manifest: %s: layers from elsewhere (%s) are not supported", what, type);
	if (types && type && !str_in(type, types))
		return err_set(
			e, ENOTSUP, "manifest: %s: media type '%.100s' is not that of a container image", what, type);
	memcpy(ret->digest, digest, DIGEST_SIZE);
	ret->size = size;
	return 0;
}

/* "linux/s390x, linux/arm64/v8": what an index has, as far as it fits. */
static void list_platforms(const json_t *list, char *ret, size_t size)
{
	size_t i, n = 0;
	json_t *j;

	*ret = 0;
	json_array_foreach(list, i, j) {
		char text[PLATFORM_TEXT];
		if (strcmp(platform_text_of(json_object_get(j, "platform"), text), "unknown/unknown") != 0 && n < size)
			n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "", text);
	}
}

static int index_choose(const json_t *list, const struct platform *platform, struct descriptor *ret, struct err *e)
{
	char wanted[PLATFORM_TEXT], there[400];
	int best = 0;
	size_t i;
	json_t *j;

	if (json_array_size(list) > CHILDREN_MAX)
		return err_set(e, EBADMSG, "manifest: an index of %zu entries", json_array_size(list));
	json_array_foreach(list, i, j) {
		int rank = platform_rank(json_object_get(j, "platform"), platform);
		if (rank <= best)
			continue;
		int r = descriptor_parse(j, "index entry", NULL, ret, e);
		if (r < 0)
			return r;
		best = rank;
	}
	if (!best) {
		list_platforms(list, there, sizeof(there));
		return err_set(e, ENOENT,
			"no matching manifest for %s in the manifest list entries; choose one of them with --platform: "
			"%s",
			platform_text(platform, wanted), *there ? there : "there are none");
	}
	if (ret->size > MANIFEST_MAX)
		return err_set(e, EFBIG, "manifest: an entry of %lld bytes", (long long)ret->size);
	return 1;
}

static int image_parse(const json_t *doc, struct manifest *m, struct err *e)
{
	const json_t *layers = json_object_get(doc, "layers");
	size_t i;
	json_t *j;

	int r = descriptor_parse(json_object_get(doc, "config"), "config", config_types, &m->config, e);
	if (r < 0)
		return r;
	if (m->config.size > CONFIG_MAX)
		return err_set(e, EFBIG, "manifest: a configuration of %lld bytes", (long long)m->config.size);
	if (!json_array_size(layers))
		return err_set(e, EBADMSG, "manifest: no layers");
	if (json_array_size(layers) > LAYERS_MAX)
		return err_set(e, EFBIG, "manifest: %zu layers, more than %d", json_array_size(layers), LAYERS_MAX);
	json_array_foreach(layers, i, j) {
		r = descriptor_parse(j, "layer", layer_types, &m->layers[i], e);
		if (r < 0)
			return r;
	}
	m->n_layers = json_array_size(layers);
	return 0;
}

/* The field in the text counts, then the header, then what the text looks like. Both saying different things is an attack: CVE-2021-41190. */
static const char *media_type(const json_t *doc, const char *header, struct err *e)
{
	const char *own = json_str(doc, "mediaType");
	size_t n = strcspn(header, "; ");

	if (own && *header && str_starts(header, "application/vnd.") &&
		(strlen(own) != n || strncasecmp(own, header, n) != 0)) {
		err_set(e, EBADMSG, "manifest: the registry calls it %.*s, the manifest itself %.100s",
			(int)(n < 100 ? n : 100), header, own);
		return NULL;
	}
	for (size_t i = 0; manifest_media_types[i]; i++) {
		const char *type = manifest_media_types[i];
		if (own ? !strcmp(own, type) : strlen(type) == n && !strncasecmp(type, header, n))
			return type;
	}
	if (own) {
		err_set(e, ENOTSUP, "manifest: unsupported media type '%.100s'", own);
		return NULL;
	}
	return json_object_get(doc, "manifests") ? OCI_INDEX : OCI_MANIFEST;
}

int manifest_parse(const char *text, size_t n, const char *content_type, const struct platform *platform,
	struct manifest *ret, struct descriptor *ret_child, struct err *e)
{
	if (n > MANIFEST_MAX)
		return err_set(e, EFBIG, "manifest: larger than %d bytes", MANIFEST_MAX);
	_cleanup_json_ json_t *doc = json_parse(text, n, "manifest", e);
	if (!doc)
		return -e->code;
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "manifest: not an object");
	int64_t version = json_int(doc, "schemaVersion", 2);
	if (version == 1)
		return err_set(e, ENOTSUP,
			"manifest: docker's schema 1 is not supported; push the image again with a current tool");
	if (version != 2)
		return err_set(e, ENOTSUP, "manifest: schema version %lld is not supported", (long long)version);
	const char *type = media_type(doc, content_type, e);
	if (!type)
		return -e->code;
	bool has_children = json_object_get(doc, "manifests"), has_layers = json_object_get(doc, "layers");
	if (has_children && has_layers)
		return err_set(e, EBADMSG, "manifest: both layers and manifests");
	if (!strcmp(type, DOCKER_LIST) || !strcmp(type, OCI_INDEX))
		return index_choose(json_object_get(doc, "manifests"), platform, ret_child, e);
	*ret = (struct manifest){.media_type = type};
	return image_parse(doc, ret, e);
}

static int config_layers(const json_t *doc, size_t n_layers, struct image_config *c, struct err *e)
{
	const json_t *ids = json_path(doc, "rootfs.diff_ids");
	size_t i;
	json_t *j;

	if (json_array_size(ids) != n_layers)
		return err_set(e, EBADMSG, "image configuration: %zu layers, the manifest has %zu",
			json_array_size(ids), n_layers);
	json_array_foreach(ids, i, j) {
		if (!digest_valid(json_string_value(j)))
			return err_set(e, EBADMSG, "image configuration: a layer's id is not a sha256 digest");
		memcpy(c->diff_ids[i], json_string_value(j), DIGEST_SIZE);
	}
	return 0;
}

int image_config_parse(const char *text, size_t n, size_t n_layers, struct image_config *ret, struct err *e)
{
	if (n > CONFIG_MAX)
		return err_set(e, EFBIG, "image configuration: larger than %d bytes", CONFIG_MAX);
	_cleanup_json_ json_t *doc = json_parse(text, n, "image configuration", e);
	if (!doc)
		return -e->code;
	const json_t *config = json_object_get(doc, "config");
	if (!json_is_object(doc) || (config && !json_is_object(config) && !json_is_null(config)))
		return err_set(e, EBADMSG, "image configuration: not an object");
	ret->created_ns = 0;
	const char *created = json_str(doc, "created");
	if (!str_empty(created) && strchr(created, 'T') && clock_parse(created, &ret->created_ns) < 0)
		ret->created_ns = 0;
	int r = config_layers(doc, n_layers, ret, e);
	if (r == 0)
		ret->doc = steal_ptr(doc);
	return r;
}

int image_config_check_platform(const struct image_config *c, const struct platform *platform, struct err *e)
{
	const char *os = json_str(c->doc, "os"), *arch = json_str(c->doc, "architecture");

	if ((!str_empty(os) && strcmp(os, platform->os) != 0) ||
		(!str_empty(arch) && strcmp(arch, platform->arch) != 0))
		return err_set(e, ENOEXEC, "image is for %s/%s, not %s/%s", os ? os : "linux", arch ? arch : "?",
			platform->os, platform->arch);
	return 0;
}
