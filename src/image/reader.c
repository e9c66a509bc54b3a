/* Readers of libarchive's. */
#include "image/reader.h"

#include <errno.h>

void reader_free(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
}

void reader_filters(struct archive *a)
{
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
}

int reader_fail(struct archive *a, struct err *e)
{
	const char *text = archive_error_string(a);
	int code = archive_errno(a);

	return err_set(e, code > 0 && code < 4096 ? code : EBADMSG, "%s", text ? text : "the archive is damaged");
}
