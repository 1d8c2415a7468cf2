// Package natsbroker is the [cluster.Broker] on NATS: histories in JetStream
// streams, live messages by core NATS. It is the [cluster.Bus] too, by core NATS.
// Servers of NATS 2.11 or later are needed;
// it is tested with 2.15.
//
// # How it is stored
//
// The topics are spread over Config.Shards streams by their name. Each stream has
// a random epoch, which is in its metadata and in its subjects: a stream that was
// lost and made anew has another, and nothing of one is taken for the other. A
// message is one stream message on
//
//	PREFIX.topic.SHARD.EPOCH.TOKEN
//
// where TOKEN is the topic's name with every byte but letters, digits, - and _
// as =XX. The stream publishes what it has stored on PREFIX.live.SHARD.EPOCH.TOKEN
// with the sequence of the subject's message before it. A node subscribes to that
// for each topic it follows. There are no consumers.
//
// The offset of a message is its sequence in the stream. The id of a publish is
// the Nats-Msg-Id, with a hash of the topic in front, because a stream keeps ids
// for all its subjects.
//
// # The bus
//
// A channel of the bus is the subject PREFIX.bus.KIND.TOKEN of core NATS. The first
// 8 bytes of a message name the Broker that sent it. A reconnect, messages that the
// client dropped because they were not taken in time, and a probe that did not
// return are gaps of all channels concerned.
//
// # What to know about NATS
//
// Limits are those of the streams: messages for each topic, age, and bytes for
// each shard, where the oldest of all its topics are discarded. Streams that exist
// are used as they are: Config changes none, and a node that sets what they do not have is
// refused.
//
// Deleting a single message by hand or changing the lifetime of some breaks the
// chain of a topic. The streams refuse deleting and purging by API.
//
// A stream acknowledges when it has stored a message, with replicas when most of
// them have; when it is on the disk for good is the server's choice (natsserver.Sync
// for an embedded one, sync_interval otherwise, which is two minutes).
//
// Ids are remembered for Config.Duplicates, in the memory of the server.
//
// Whoever may publish to PREFIX.> can forge messages. Give that subject to nobody
// but the nodes.
package natsbroker
