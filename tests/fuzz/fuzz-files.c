/* What a hostile container says its files are: the frames of a stream, each as a record; an entry that was decoded goes back to bytes that decode. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "proto/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct files_record *r)
{
	struct files_writer w = {.fd = -1};
	struct files_record twice;
	struct frame_reader in = {0};
	struct frame f;
	struct err e;

	if (files_write_entry(&w, FILES_ENTRY, &r->entry) < 0) /* it would go out: too large for what is kept here */
		goto done;
	in.in = w.out;
	if (frame_next(&in, &f) != 1 || files_record_decode(&twice, &f, &e) < 0)
		abort();
	files_record_done(&twice);
done:
	files_writer_done(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(files_reader_done) struct files_reader r = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};
	struct files_request q;
	struct err e;
	int n = 1;

	if (r.fd < 0 || fd_write_all(r.fd, data, size) < 0 || lseek(r.fd, 0, SEEK_SET) < 0)
		abort();
	while (n > 0) {
		struct files_record x;
		n = files_read(&r, &x, &e);
		if (n > 0 && x.type == FILES_ENTRY)
			again(&x);
		files_record_done(&x);
	}
	close(r.fd);
	files_request_decode(&q, data, size, &e);
	files_request_done(&q);
	return 0;
}
