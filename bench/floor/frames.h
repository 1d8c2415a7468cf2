// Frames (RFC 6455 §5) turned into their answers in place, without validation.

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

static bool flush(int fd, const uint8_t *frames, size_t len, bool to_all) {
	if (!len) return true;
	if (!to_all) return send_all(fd, frames, len);
	publish(frames, len);
	return true;
}

// answer answers every complete frame of at[0:n] and returns the bytes consumed, or -1
// if the connection must be dropped. Neighbouring answers that go to the same place,
// back or to all, leave in one send. A message that goes to all must be one frame.
static ssize_t answer(int fd, uint8_t *at, size_t n, size_t longest) {
	uint8_t *start = at, *end = at + n;
	uint8_t *run = at + 4, *to = run; // an answer is 4 bytes of mask key shorter
	bool to_all = false, closing = false;
	while (!closing && end - at >= 2) {
		if (!(at[1] & 0x80)) return -1; // §5.1
		size_t head = 6, len = at[1] & 0x7f;
		if (len >= 126) { // §5.2
			size_t wide = len == 126 ? 2 : 8;
			head += wide, len = 0;
			if ((size_t)(end - at) < head) break;
			for (size_t i = 0; i < wide; i++) len = len << 8 | at[2 + i];
			if (len > longest - head) return -1;
		}
		if ((size_t)(end - at) < head + len) break;
		uint8_t key[4], first = at[0], opcode = first & 0x0f;
		memcpy(key, at + head - 4, 4);
		bool b = (first == 0x81 || first == 0x82) && len && (at[head] ^ key[0]) == 'B';
		if (b != to_all) {
			if (!flush(fd, run, to - run, to_all)) return -1;
			run = to = at + 4, to_all = b;
		}
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
	if (!flush(fd, run, to - run, to_all)) return -1;
	return closing ? -1 : at - start;
}
