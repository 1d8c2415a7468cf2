//go:build poison

package loop

// Poisoned says that this build overwrites borrowed bytes when the loan ends,
// so that whoever keeps them is caught.
const Poisoned = true

const poisonByte = 0xDB

func poison(b []byte) {
	for i := range b {
		b[i] = poisonByte
	}
}
