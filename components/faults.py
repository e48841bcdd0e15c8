"""The one error that speaks to a person."""


class Fault(Exception):  # noqa: N818 (a fault of the world outside, not an error of the code)
    """Something outside the code is wrong: a param, a file, a sample, a server.

    The message is one line: it names what is at fault and says what to do. A stage prints it without a
    traceback and exits 1; anything else that escapes a stage is a bug and keeps its traceback. What cannot be
    printed, as names of files may hold it (a line feed, bytes that are no text), stands in it as Python writes it.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message))
