package chat

import (
	"context"

	"libchat.example/chat/internal/capi"
)

// StartLocalServer starts the official nats-server for folder, or finds the one that runs, and
// answers its address with user and password: loopback only, its messages in folder's
// .libchat/store. It goes on running when the program ends, and any program in the folder or below
// finds it without options. nats-server is found in LIBCHAT_NATS_SERVER, in PATH, beside the
// program, in a Python environment; else it is ErrNotFound.
func StartLocalServer(folder string) (url string, err error) {
	url, failed := capi.StartLocalServer(folder)
	return url, errorOf(context.Background(), "chat.StartLocalServer", failed)
}

// StopLocalServer stops the server of folder; nil too when none runs. Its messages stay.
func StopLocalServer(folder string) error {
	return errorOf(context.Background(), "chat.StopLocalServer", capi.StopLocalServer(folder))
}
