// The connections, what is sent to one of them and what is sent to all.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNS = 1 << 20, PATIENCE_MS = 1000 };

// Indexed by descriptor. rest holds bytes only while a head or a frame is incomplete.
static struct conn {
	uint8_t *rest;
	uint32_t len;
	uint32_t place; // in members, from 1; 0 before the upgrade
} conns[CONNS];

static int members[CONNS], count; // the upgraded descriptors, dense

static void join(int fd) {
	members[count] = fd;
	conns[fd].place = ++count;
}

static void drop(int fd) {
	uint32_t place = conns[fd].place;
	if (place) {
		members[place - 1] = members[--count];
		conns[members[place - 1]].place = place;
	}
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
		if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, PATIENCE_MS) <= 0) return false;
	}
}

// The members that did not take all of a publish at once, and how much they took.
static struct pollfd slow[CONNS];
static size_t taken[CONNS];

static int64_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// finish sends the rest to n slow members. Those that are not done in time are shut
// down; epoll then reports them and they are dropped.
static void finish(int n, const uint8_t *frames, size_t len) {
	int64_t deadline = now_ms() + PATIENCE_MS, left;
	while (n && (left = deadline - now_ms()) > 0 && poll(slow, n, left) > 0)
		for (int i = n - 1; i >= 0; i--) {
			if (!slow[i].revents) continue;
			ssize_t sent = send(slow[i].fd, frames + taken[i], len - taken[i], MSG_NOSIGNAL);
			if (sent < 0 && errno == EAGAIN) continue;
			if (sent < 0) shutdown(slow[i].fd, SHUT_RDWR);
			if (sent > 0 && (taken[i] += sent) < len) continue;
			slow[i] = slow[--n], taken[i] = taken[n];
		}
	while (n) shutdown(slow[--n].fd, SHUT_RDWR);
}

// publish sends frames to every member, one send each.
static void publish(const uint8_t *frames, size_t len) {
	int late = 0;
	for (int i = 0; i < count; i++) {
		ssize_t sent = send(members[i], frames, len, MSG_NOSIGNAL);
		if (sent == (ssize_t)len) continue;
		if (sent < 0 && errno != EAGAIN) {
			shutdown(members[i], SHUT_RDWR);
			continue;
		}
		slow[late] = (struct pollfd){.fd = members[i], .events = POLLOUT};
		taken[late++] = sent < 0 ? 0 : sent;
	}
	if (late) finish(late, frames, len);
}
