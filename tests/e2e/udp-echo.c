/* Answers each datagram on a UDP port with itself: udp-echo PORT. Static, for any image. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_in6 own = {
		.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "0"))};
	struct sockaddr_storage from;
	char data[2048];
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0)
		return 1;
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len);
		if (n >= 0)
			sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}
