// Sec-WebSocket-Accept (RFC 6455 §4.2.2): base64(SHA-1(key + GUID)).
#include <stdint.h>
#include <string.h>

enum { KEY_LEN = 24, ACCEPT_LEN = 28 };

static uint32_t rotl(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1_block(uint32_t h[5], const uint8_t block[64]) {
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	for (int i = 0; i < 16; i++, block += 4)
		w[i] = (uint32_t)block[0] << 24 | block[1] << 16 | block[2] << 8 | block[3];
	for (int i = 16; i < 80; i++) w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
		             : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
		             : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
		                      : (b ^ c ^ d) + 0xca62c1d6;
		uint32_t next = rotl(a, 5) + f + e + w[i];
		e = d, d = c, c = rotl(b, 30), b = a, a = next;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

static void accept_key(const char key[KEY_LEN], char out[ACCEPT_LEN]) {
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	enum { LEN = KEY_LEN + sizeof guid - 1 };
	uint8_t text[128] = {0}, sum[21] = {0};
	memcpy(text, key, KEY_LEN);
	memcpy(text + KEY_LEN, guid, sizeof guid - 1);
	text[LEN] = 0x80;
	text[126] = LEN * 8 >> 8, text[127] = LEN * 8 & 0xff;
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	sha1_block(h, text);
	sha1_block(h, text + 64);
	for (int i = 0; i < 20; i++) sum[i] = h[i / 4] >> (24 - i % 4 * 8);
	for (int i = 0; i < 21; i += 3, out += 4) {
		uint32_t bits = sum[i] << 16 | sum[i + 1] << 8 | sum[i + 2];
		for (int j = 0; j < 4; j++) out[j] = digits[bits >> (18 - 6 * j) & 63];
	}
	out[-1] = '=';
}
