from agent.commands.text_table import table_lines


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table_lines(["A", "LONG"], [["1", "2"], ["333", ""]]) == ["A     LONG", "1     2", "333"]


def test_an_images_own_words_cannot_command_a_terminal_or_break_a_line() -> None:
    (_, line) = table_lines(["BY"], [["RUN \x1b[2J\x9b31m one\ntwo\u202e"]])
    assert line == "RUN  [2J 31m one two"
