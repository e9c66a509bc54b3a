/*
 * How a start asks for a template's memory: RUN/template/NAME.sock, mode 0600, held by caisson-template.
 *
 * A connection gets one byte and one descriptor, the sealed memfd (isolation/hyperv-template.h says what is in it). It stays open for as long as the VM
 * lives, so that the holder knows that its memory is used. A connection that sends TEMPLATE_QUIT makes the holder end: the template is gone.
 */
#pragma once

#define TEMPLATE_RUN_DIR "template"

enum { TEMPLATE_MEMORY = 'm', TEMPLATE_QUIT = 'q' };
/* The descriptors the holder is started with: the listening socket, the memory, the lock of the name. */
enum { TEMPLATE_FD_SOCKET = 3, TEMPLATE_FD_MEMORY = 4, TEMPLATE_FD_LOCK = 5 };
