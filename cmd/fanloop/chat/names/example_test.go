package names_test

import (
	"fmt"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
)

func ExampleCheckTopic() {
	fmt.Println(names.CheckTopic("room:a.*/b"))
	fmt.Println(names.CheckTopic("cafe\u0301"))
	// Output:
	// <nil>
	// names: the topic is not in Unicode normal form C; normalize it
}

func ExampleEncode() {
	fmt.Println(names.Encode("room:a.b"), names.Encode("room:a_b"))
	// Output: room_3Aa_2Eb room_3Aa_5Fb
}
