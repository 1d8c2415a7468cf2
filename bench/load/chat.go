package load

import (
	"strconv"
	"strings"
)

// minChat is the smallest JSON message: the stamp, the fields and some text.
const minChat = 160

// chatWords are the words of which chat messages are made. Short ones, which
// people use more, stand more than once.
var chatWords = strings.Fields(`the the the to to to and and a a of of in in is is it it I I you you that that for for on on
we we be be are have have not not this with as at but by from they or will would can do so if what there about which when one
all get just like know time now more some good well see go come make only over think also back after use two how our work first
way even new want because any these give day most us great where through much should very still between need feel high really
something different world great while last might right move thing general system each problem again call fact against until
however every start school never become point company number group help always early meeting server release tomorrow ticket
deploy branch review error customer release question weekend coffee please thanks sorry sure maybe okay lunch build morning
update message channel latency database morning evening minutes seconds connection browser sounds looks works fails fixed`)

var (
	chatRooms = []string{"general", "random", "support", "backend", "on-call", "design"}
	chatUsers = []string{"alice", "bob", "carol", "dmitri", "emre", "fatima", "grace", "hiroshi", "ines", "jonas"}
)

// appendChat appends what follows the stamp in chat message number n, size
// bytes of plain ASCII: JSON with the fields of a chat. Equal numbers give
// equal messages.
func appendChat(dst []byte, n, size int) []byte {
	x := uint32(n)*2654435761 + 2463534242
	random := func(below int) int {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		return int(x>>8) % below
	}
	end := len(dst) + size
	user := random(len(chatUsers))
	dst = append(dst, `"type":"message","room":"`+chatRooms[random(len(chatRooms))]+
		`","from":{"id":`+strconv.Itoa(1000+977*user)+`,"name":"`+chatUsers[user]+
		`"},"sent":`+strconv.FormatInt(1767225600000+int64(random(1<<20))*1009, 10)+`,"text":"`...)
	const last = `"}`
	for room := end - len(last) - len(dst); room > 0; room = end - len(last) - len(dst) {
		word := chatWords[random(len(chatWords))] + " "
		dst = append(dst, word[:min(room, len(word))]...)
	}
	return append(dst, last...)
}
