// floor PORT: a WebSocket echo server with as little between the sockets as one epoll
// loop allows. It is what the other servers are measured against, not a server to use:
// frames are not validated, and a peer that reads nothing for a second is dropped.
//
// A message's way: epoll_wait -> one recv -> unmask in place -> one send.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "accept_key.h"

enum { CONNS = 1 << 20, BATCH = 512 };

// Indexed by descriptor. rest holds bytes only while a head or a frame is incomplete.
static struct conn {
	uint8_t *rest;
	uint32_t len;
	bool upgraded;
} conns[CONNS];

static uint8_t buf[16 << 20]; // also the longest frame

static void die(const char *what) {
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void drop(int fd) {
	free(conns[fd].rest);
	conns[fd] = (struct conn){0};
	close(fd);
}

static bool send_all(int fd, const void *bytes, size_t n) {
	for (const uint8_t *p = bytes;;) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent == (ssize_t)n) return true;
		if (sent < 0 && errno != EAGAIN) return false;
		if (sent > 0) p += sent, n -= sent;
		if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000) <= 0) return false;
	}
}

// upgrade answers a complete request head and returns the bytes consumed: 0 for an
// incomplete head, -1 if the connection must be dropped.
static ssize_t upgrade(int fd, uint8_t *at, size_t n) {
	uint8_t *end = memmem(at, n, "\r\n\r\n", 4);
	if (!end) return n < 8192 ? 0 : -1;
	*end = 0;
	static const char name[] = "\r\nSec-WebSocket-Key:";
	char *key = strcasestr((char *)at, name);
	if (key) key += sizeof name - 1, key += strspn(key, " \t");
	if (!key || (char *)end - key < KEY_LEN) {
		static const char bad[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
		send_all(fd, bad, sizeof bad - 1);
		return -1;
	}
	char reply[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	               "Sec-WebSocket-Accept: ____________________________\r\n\r\n";
	accept_key(key, reply + sizeof reply - 1 - 4 - ACCEPT_LEN);
	if (!send_all(fd, reply, sizeof reply - 1)) return -1;
	conns[fd].upgraded = true;
	return end + 4 - at;
}

// unmask copies n bytes to dst, which is src or lies before it.
static void unmask(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t key[4]) {
	typedef uint8_t lane __attribute__((vector_size(32)));
	uint8_t keys[32];
	lane mask, x;
	for (size_t i = 0; i < sizeof keys; i++) keys[i] = key[i % 4];
	memcpy(&mask, keys, sizeof mask);
	size_t i = 0;
	for (; i + sizeof x <= n; i += sizeof x) {
		memcpy(&x, src + i, sizeof x);
		x ^= mask;
		memcpy(dst + i, &x, sizeof x);
	}
	for (; i < n; i++) dst[i] = src[i] ^ keys[i % 4];
}

// echo answers every complete frame of at[0:n] with one send and returns the bytes
// consumed, or -1 if the connection must be dropped.
static ssize_t echo(int fd, uint8_t *at, size_t n) {
	uint8_t *start = at, *end = at + n;
	uint8_t *reply = at + 4, *to = reply; // a reply is 4 bytes of mask key shorter
	bool closing = false;
	while (!closing && end - at >= 2) {
		if (!(at[1] & 0x80)) return -1; // §5.1
		size_t head = 6, len = at[1] & 0x7f;
		if (len >= 126) { // §5.2
			size_t wide = len == 126 ? 2 : 8;
			head += wide, len = 0;
			if ((size_t)(end - at) < head) break;
			for (size_t i = 0; i < wide; i++) len = len << 8 | at[2 + i];
			if (len > sizeof buf - head) return -1;
		}
		if ((size_t)(end - at) < head + len) break;
		uint8_t key[4], opcode = at[0] & 0x0f;
		memcpy(key, at + head - 4, 4);
		uint8_t *next = at + head + len;
		if (opcode != 0xa) { // §5.5.3: a pong is not answered
			memmove(to, at, head - 4);
			if (opcode == 0x9) to[0]++; // §5.5.2: ping becomes pong
			to[1] &= 0x7f;
			unmask(to + head - 4, at + head, len, key);
			to += head - 4 + len;
		}
		closing = opcode == 0x8; // §5.5.1
		at = next;
	}
	if (to > reply && !send_all(fd, reply, to - reply)) return -1;
	return closing ? -1 : at - start;
}

static void readable(int fd) {
	struct conn *c = &conns[fd];
	if (c->len) memcpy(buf, c->rest, c->len);
	ssize_t got = recv(fd, buf + c->len, sizeof buf - c->len, 0);
	if (got < 0 && errno == EAGAIN) return;
	if (got <= 0) return drop(fd);
	size_t n = c->len + got, used = 0;
	if (c->len) free(c->rest), c->rest = NULL, c->len = 0;
	if (!c->upgraded) {
		ssize_t head = upgrade(fd, buf, n);
		if (head < 0) return drop(fd);
		used = head;
	}
	if (c->upgraded && used < n) {
		ssize_t frames = echo(fd, buf + used, n - used);
		if (frames < 0) return drop(fd);
		used += frames;
	}
	if (used == n) return;
	c->len = n - used;
	c->rest = malloc(c->len);
	if (!c->rest) die("malloc");
	memcpy(c->rest, buf + used, c->len);
}

static void accept_batch(int ep, int listener) {
	for (int i = 0; i < 64; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED)) return;
		if (fd < 0) die("accept4");
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd})) die("epoll_ctl");
	}
}

static int listen_on(int port) {
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // accepted sockets inherit it
	if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096)) die("listen");
	return fd;
}

int main(int argc, char **argv) {
	if (argc != 2) return fprintf(stderr, "usage: floor PORT\n"), 1;
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max < CONNS ? files.rlim_max : CONNS;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGUSR1, SIG_IGN); // nothing to give back
	int listener = listen_on(atoi(argv[1])), ep = epoll_create1(0);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener})) die("epoll_ctl");
	for (struct epoll_event events[BATCH];;) {
		int n = epoll_wait(ep, events, BATCH, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == listener)
				accept_batch(ep, listener);
			else
				readable(events[i].data.fd);
	}
}
