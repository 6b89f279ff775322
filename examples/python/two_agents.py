"""Two agents talk in one thread, on a server of this program's own."""

import sys

import libchat


def main() -> None:
    with (
        libchat.local_server() as server,
        libchat.open("demo", "ana", servers=server.url) as ana,
        libchat.open("demo", "ben", servers=server.url) as ben,
        ana.watch("plan", skip_own=True) as heard_by_ana,
        ben.watch("plan", skip_own=True) as heard_by_ben,
    ):
        ana.send("plan", "Shall we ship on Friday?")
        question = next(heard_by_ben)
        ben.send(question, "Yes, if the tests are green.", reply_to=question)
        answer = next(heard_by_ana)
        ana.send(answer, "They are.", reply_to=answer)

        # Who comes later reads what was said.
        for message in ben.history("plan"):
            print(f"{message.sender}: {message.body}")


if __name__ == "__main__":
    try:
        main()
    except libchat.Error as error:
        sys.exit(f"two_agents: {error}")
