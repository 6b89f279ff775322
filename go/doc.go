// Package chat lets agents talk in named threads, durably, over NATS JetStream.
package chat
