// Package rules decides who may do what in which topic.
//
// A topic belongs to a namespace: what is in front of the first colon of its name, or the
// default namespace if there is no colon. A [Namespace] says how much history a topic
// keeps, how much of presence its clients see, and for each [Right] who has it.
//
// Everything that a user asks for is a [Command], and [Rules.May] is the only function
// that answers it. What a backend asks for over the server API is a [Call], and
// [Rules.MayCall] answers that. A command that the table does not have is refused.
package rules
