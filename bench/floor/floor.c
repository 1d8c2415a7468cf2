// floor [HOST:]PORT: a server of the bench protocol (echo; a message that begins with 'B'
// goes to every client) with as little between the sockets as one epoll loop allows. It
// is what the other servers are measured against, not a server to use: frames are not
// validated, and a peer that reads nothing for a second is dropped.
//
// A message's way: epoll_wait -> one recv -> unmask in place -> one send, or one to each.
#include "conns.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "frames.h"
#include "upgrade.h"

enum { BATCH = 512 };

static uint8_t buf[16 << 20]; // also the longest frame

static void die(const char *what) {
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void readable(int fd) {
	struct conn *c = &conns[fd];
	if (c->len) memcpy(buf, c->rest, c->len);
	ssize_t got = recv(fd, buf + c->len, sizeof buf - c->len, 0);
	if (got < 0 && errno == EAGAIN) return;
	if (got <= 0) return drop(fd);
	size_t n = c->len + got, used = 0;
	if (c->len) free(c->rest), c->rest = NULL, c->len = 0;
	if (!c->place) {
		ssize_t head = upgrade(fd, buf, n);
		if (head < 0) return drop(fd);
		used = head;
	}
	if (c->place && used < n) {
		ssize_t frames = answer(fd, buf + used, n - used, sizeof buf);
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

// listen_on listens at "host:port", or at the loopback address for "port", and says so.
static int listen_on(const char *where) {
	const char *colon = strrchr(where, ':');
	char host[INET_ADDRSTRLEN] = "127.0.0.1";
	if (colon) snprintf(host, sizeof host, "%.*s", (int)(colon - where), where);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(colon ? colon + 1 : where))};
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1) errno = EINVAL, die(where);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // accepted sockets inherit it
	if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096)) die("listen");
	getsockname(fd, (struct sockaddr *)&a, &(socklen_t){sizeof a});
	printf("listening %s:%d\n", host, ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv) {
	if (argc != 2) return fprintf(stderr, "usage: floor [HOST:]PORT\n"), 2;
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max < CONNS ? files.rlim_max : CONNS;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGUSR1, SIG_IGN); // nothing to give back
	int listener = listen_on(argv[1]), ep = epoll_create1(0);
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
