/* Stores one message: hello [PROJECT [AGENT]] */
#include <libchat.h>
#include <stdio.h>
#include <stdlib.h>

static void check(libchat_status status, libchat_error **err)
{
    if (status == LIBCHAT_OK)
        return;
    fprintf(stderr, "hello: %s\n", libchat_error_message(*err));
    exit(1);
}

int main(int argc, char **argv)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    const libchat_bytes body = { (const uint8_t *)"hello from C", 12 };
    libchat_conn conn;
    libchat_manager manager;
    libchat_receipt receipt;
    libchat_error *err;

    options.project = argc > 1 ? argv[1] : "demo";
    options.agent_id = argc > 2 ? argv[2] : "ana";
    check(libchat_connect(NULL, &conn, &err), &err); /* NULL: finds the server */
    check(libchat_open(conn, &options, &manager, &err), &err);
    check(libchat_send(manager, "plan", body, NULL, &receipt, &err), &err);
    printf("stored as number %llu\n", (unsigned long long)receipt.cursor.seq);
    check(libchat_conn_close(conn, 2000, &err), &err); /* and with it the manager */
    return 0;
}
