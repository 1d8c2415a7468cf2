// load MODE PORT [name=value ...]: the client of the benchmark, one epoll loop.
//
//   echo       closed loop: every connection keeps inflight messages under way
//   handshake  open, upgrade, reset, again, on conns slots at once
//   idle       open conns connections, one echo each, then hold them until stdin ends
//
// It prints one line of JSON. An echo that differs, is missing or comes late, and a
// deadline that passes, is one line on stderr and exit code 1: it never hangs.
//
// pid=N reads that process's CPU clock at both ends of the measured window, so the window
// of the CPU figure and the window of the count are the same.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// The sample key of RFC 6455 §1.3 and its answer: no SHA-1 needed here.
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { BATCH = 512, OPENING = 128, STAMP = 8, SMALL = 1024, SAMPLE = 16, HEAD = 1024 };

static long port, conns = 1, size = 64, inflight = 1, sources = 1, pid;
static long warmup = 200, window = 1000, deadline = 20000; // milliseconds; deadline: per phase

struct conn {
	int fd;
	enum { CONNECTING, UPGRADING, OPEN } state;
	uint32_t owed;         // messages to send
	uint32_t sent, echoed; // messages done; the stamp of the next one
	size_t put, got;       // bytes done of the next one
	size_t head;           // bytes of the response so far
	char response[HEAD + 1];
};

static struct conn *table;
static int ep;
static long opened, started;          // connections
static unsigned long long messages;   // echoes or handshakes
static bool sending, again;           // answer each echo by a message; each handshake by another
static uint8_t *frame, *answer;       // a masked message and its echo; the stamp differs
static size_t frame_head, answer_head, frame_len, answer_len, stamped;
static uint8_t buf[256 << 10];

static void fail(const char *format, ...) {
	va_list args;
	va_start(args, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	exit(1);
}

static int64_t ns(clockid_t clock) {
	struct timespec t;
	if (clock_gettime(clock, &t)) fail("the server process %ld is gone", pid);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static const uint8_t mask[4] = {0x9d, 0x3c, 0x57, 0xe1};

// §5.2: the shortest length that fits.
static size_t put_header(uint8_t *to, uint8_t masked) {
	size_t n = size < 126 ? 0 : size < 65536 ? 2 : 8;
	to[0] = 0x82;
	to[1] = masked | (n == 0 ? size : n == 2 ? 126 : 127);
	for (size_t i = 0; i < n; i++) to[2 + i] = (uint64_t)size >> 8 * (n - 1 - i);
	return 2 + n;
}

static void prepare_message(void) {
	frame = malloc(14 + size), answer = malloc(10 + size);
	if (!frame || !answer) fail("no memory for a message of %ld bytes", size);
	answer_head = put_header(answer, 0);
	frame_head = put_header(frame, 0x80);
	memcpy(frame + frame_head, mask, 4);
	frame_head += 4;
	uint32_t x = 2463534242;
	for (long i = 0; i < size; i++) {
		x ^= x << 13, x ^= x >> 17, x ^= x << 5;
		answer[answer_head + i] = x;
		frame[frame_head + i] = (uint8_t)x ^ mask[i % 4];
	}
	frame_len = frame_head + size, answer_len = answer_head + size;
	stamped = size < STAMP ? size : STAMP;
}

// The first bytes of a payload name its connection and its place in the order.
static void stamp(uint8_t *payload, const struct conn *c, uint32_t count, const uint8_t key[4]) {
	uint32_t words[2] = {count, c - table};
	uint8_t bytes[STAMP];
	memcpy(bytes, words, STAMP);
	for (size_t i = 0; i < stamped; i++) payload[i] = bytes[i] ^ (key ? key[i % 4] : 0);
}

static void start(struct conn *c) {
	static const int on = 1;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (c - table) % sources)};
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0) fail("socket %ld of %ld: %s", started, conns, strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	// Closing resets: a TIME_WAIT per connection would use up the ports.
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	if (sources > 1 && bind(c->fd, (struct sockaddr *)&a, sizeof a)) fail("bind: %s", strerror(errno));
	a.sin_port = htons(port), a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(c->fd, (struct sockaddr *)&a, sizeof a) && errno != EINPROGRESS)
		fail("connect to 127.0.0.1:%ld: %s", port, strerror(errno));
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = c - table};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e)) fail("epoll_ctl: %s", strerror(errno));
	c->state = CONNECTING, c->head = 0;
	started++;
}

static void request(struct conn *c) {
	int err = 0;
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &(socklen_t){sizeof err});
	if (err) fail("connect to 127.0.0.1:%ld: %s", port, strerror(err));
	static const char head[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	                           "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n";
	if (send(c->fd, head, sizeof head - 1, MSG_NOSIGNAL) != sizeof head - 1) fail("request: %s", strerror(errno));
	c->state = UPGRADING;
}

static void upgraded(struct conn *c) {
	if (again) {
		messages++;
		close(c->fd);
		return start(c);
	}
	c->state = OPEN;
	opened++;
	if (started < conns) start(&table[started]);
}

static void response(struct conn *c, const uint8_t *bytes, size_t n) {
	if (c->head + n > HEAD) fail("the answer to the upgrade is longer than %d bytes", HEAD);
	memcpy(c->response + c->head, bytes, n);
	c->head += n;
	c->response[c->head] = 0;
	char *end = strstr(c->response, "\r\n\r\n");
	if (!end) return;
	if (strncmp(c->response, "HTTP/1.1 101", 12))
		fail("the upgrade was refused: %.*s", (int)strcspn(c->response, "\r"), c->response);
	static const char name[] = "\r\nSec-WebSocket-Accept:";
	char *value = strcasestr(c->response, name);
	if (value) value += sizeof name - 1, value += strspn(value, " \t");
	if (!value || strncmp(value, ACCEPT "\r", sizeof ACCEPT)) fail("Sec-WebSocket-Accept is missing or wrong");
	if (end + 4 != c->response + c->head) fail("bytes nobody asked for follow the upgrade");
	upgraded(c);
}

static void pump(struct conn *c) {
	while (c->owed) {
		stamp(frame + frame_head, c, c->sent, mask);
		ssize_t n = send(c->fd, frame + c->put, frame_len - c->put, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) return;
		if (n < 0) fail("send on connection %ld after %u echoes: %s", c - table, c->echoed, strerror(errno));
		c->put += n;
		if (c->put == frame_len) c->put = 0, c->sent++, c->owed--;
	}
}

// Every header and stamp is compared, payloads beyond SMALL bytes once in SAMPLE messages.
static void echoes(struct conn *c, const uint8_t *at, size_t n) {
	while (n) {
		if (c->echoed == c->sent) fail("connection %ld: more came back than was sent after %u echoes", c - table, c->echoed);
		size_t part = answer_len - c->got < n ? answer_len - c->got : n;
		size_t upto = size <= SMALL || c->echoed % SAMPLE == 0 ? answer_len : answer_head + stamped;
		stamp(answer + answer_head, c, c->echoed, NULL);
		if (c->got < upto && memcmp(at, answer + c->got, c->got + part < upto ? part : upto - c->got)) {
			while (*at == answer[c->got]) at++, c->got++;
			fail("connection %ld: echo %u differs at byte %zu of its frame: %#04x, not %#04x", c - table, c->echoed, c->got, *at,
			     answer[c->got]);
		}
		c->got += part, at += part, n -= part;
		if (c->got < answer_len) return;
		c->got = 0, c->echoed++, messages++;
		if (sending) c->owed++;
	}
}

static void receive(struct conn *c, uint32_t events) {
	for (ssize_t n = sizeof buf; n == sizeof buf || events & EPOLLRDHUP;) {
		n = recv(c->fd, buf, sizeof buf, 0);
		if (n < 0 && errno == EAGAIN) return;
		if (n < 0) fail("receive on connection %ld after %u echoes: %s", c - table, c->echoed, strerror(errno));
		if (n == 0) fail("the server hung up on connection %ld after %u echoes", c - table, c->echoed);
		if (c->state == OPEN)
			echoes(c, buf, n);
		else
			response(c, buf, n);
		if (c->state == CONNECTING) return; // a handshake slot began again
	}
}

static bool all_open(void) { return opened == conns; }

static bool all_echoed(void) {
	for (long i = 0; i < conns; i++)
		if (table[i].owed || table[i].echoed != table[i].sent) return false;
	return true;
}

// run_for serves the connections for some milliseconds, or until done.
static bool run_for(long milliseconds, bool (*done)(void)) {
	struct epoll_event events[BATCH];
	int64_t end = ns(CLOCK_MONOTONIC) + milliseconds * 1000000LL;
	for (int64_t left; !(done && done());) {
		if ((left = end - ns(CLOCK_MONOTONIC)) <= 0) return false;
		int n = epoll_wait(ep, events, BATCH, left / 1000000 + 1);
		for (int i = 0; i < n; i++) {
			struct conn *c = &table[events[i].data.u32];
			if (c->state == CONNECTING) request(c);
			if (events[i].events & ~EPOLLOUT) receive(c, events[i].events);
			if (c->state == OPEN) pump(c);
		}
	}
	return true;
}

static void settle(void) {
	sending = false;
	if (run_for(deadline, all_echoed)) return;
	for (struct conn *c = table;; c++)
		if (c->owed || c->echoed != c->sent)
			fail("connection %ld: %zu of %zu bytes of echo %u came back in %ld ms", c - table, c->got, answer_len, c->echoed, deadline);
}

static void measure(void) {
	clockid_t server = CLOCK_REALTIME;
	if (pid && clock_getcpuclockid(pid, &server)) fail("no CPU clock of process %ld", pid);
	run_for(warmup, NULL);
	unsigned long long count = messages;
	int64_t wall = ns(CLOCK_MONOTONIC), client = ns(CLOCK_PROCESS_CPUTIME_ID), cpu = ns(server);
	run_for(window, NULL);
	cpu = pid ? ns(server) - cpu : 0;
	client = ns(CLOCK_PROCESS_CPUTIME_ID) - client, wall = ns(CLOCK_MONOTONIC) - wall, count = messages - count;
	if (!count) fail("nothing came back within the window of %ld ms", window);
	if (!again) settle();
	printf("{\"messages\":%llu,\"seconds\":%.6f,\"client_cpu_us\":%.3f,\"server_cpu_us\":%.3f}\n", count, wall / 1e9, client / 1e3, cpu / 1e3);
}

static void open_all(void) {
	for (long i = 0; i < conns && i < OPENING; i++) start(&table[i]);
	if (!run_for(deadline, all_open)) fail("%ld of %ld connections open after %ld ms", opened, conns, deadline);
}

static void hold(void) {
	for (long i = 0; i < conns; i++) table[i].owed = 1, pump(&table[i]);
	settle();
	printf("{\"connections\":%ld}\n", opened);
	fflush(stdout);
	struct pollfd any[] = {{.fd = 0, .events = POLLIN}, {.fd = ep, .events = POLLIN}};
	int64_t end = ns(CLOCK_MONOTONIC) + deadline * 1000000LL;
	for (int64_t left; (left = end - ns(CLOCK_MONOTONIC)) > 0;) {
		poll(any, 2, left / 1000000 + 1);
		if (any[1].revents) run_for(1, NULL); // whatever comes now fails the run
		if (any[0].revents) return;
	}
	fail("stdin was still open after %ld ms", deadline);
}

static void option(const char *text) {
	static const struct { const char *name; long *value, least; } options[] = {
		{"conns", &conns, 1}, {"size", &size, 0}, {"inflight", &inflight, 1}, {"sources", &sources, 1}, {"pid", &pid, 1},
		{"warmup", &warmup, 0}, {"window", &window, 1}, {"deadline", &deadline, 1},
	};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		size_t n = strlen(options[i].name);
		if (strncmp(text, options[i].name, n) || text[n] != '=') continue;
		char *end;
		*options[i].value = strtol(text + n + 1, &end, 10);
		if (*end || *options[i].value < options[i].least) fail("%s: not a number from %ld up", text, options[i].least);
		return;
	}
	fail("unknown option %s", text);
}

int main(int argc, char **argv) {
	if (argc < 3) fail("usage: load echo|handshake|idle PORT [name=value ...]");
	port = atol(argv[2]);
	for (int i = 3; i < argc; i++) option(argv[i]);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	table = calloc(conns, sizeof *table);
	if (!table) fail("no memory for %ld connections", conns);
	ep = epoll_create1(0);
	prepare_message();
	if (!strcmp(argv[1], "handshake")) {
		again = true;
		for (long i = 0; i < conns; i++) start(&table[i]);
		measure();
	} else if (!strcmp(argv[1], "echo")) {
		open_all();
		sending = true;
		for (long i = 0; i < conns; i++) table[i].owed = inflight, pump(&table[i]);
		measure();
	} else if (!strcmp(argv[1], "idle")) {
		open_all();
		hold();
	} else {
		fail("unknown mode %s", argv[1]);
	}
	return 0;
}
