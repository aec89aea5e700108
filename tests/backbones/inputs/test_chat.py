import pytest

from saccade.backbones.inputs.chat import SYSTEM, encode_with_images, render_chat, render_question


def characters(text: str) -> list[int]:
    return [ord(c) for c in text]


def test_chat_of_one_turn() -> None:
    assert render_chat([("user", "  Hi\n")], system="Be kind.") == (
        "<|startoftext|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_chat_of_several_turns() -> None:
    first = render_chat([("user", "One?")])
    chat = render_chat([("user", "One?"), ("assistant", " Two. "), ("user", "Three?")])
    assert chat == first + (
        "Two.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nThree?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert SYSTEM in chat and chat.count("<|startoftext|>") == 1


@pytest.mark.parametrize("role", ["assistant", "system", "User", ""])
def test_chat_must_begin_with_the_user(role: str) -> None:
    with pytest.raises(ValueError, match="need 'user'"):
        render_chat([(role, "Hi")])


def test_turns_must_alternate_and_end_with_the_user() -> None:
    with pytest.raises(ValueError, match="message 1 has role 'user'; need 'assistant'"):
        render_chat([("user", "Hi"), ("user", "Hi")])
    with pytest.raises(ValueError, match="the user speaks last"):
        render_chat([("user", "Hi"), ("assistant", "Ho")])
    with pytest.raises(ValueError, match="0 messages"):
        render_chat([])


@pytest.mark.parametrize(
    ("text", "n_images", "think_mode", "expected"),
    [
        ("What?", 1, None, "<image>\nWhat?"),
        ("What?", 1, "no_think", "<image>\nWhat? /no_think"),
        ("What?", 3, "think", "<image> <image> <image>\nWhat? /think"),
        ("What?", 0, "think", "What?"),
        ("In <image>, what?", 1, "think", "In <image>, what?"),
    ],
)
def test_question(text: str, n_images: int, think_mode: str | None, expected: str) -> None:
    assert render_question(text, n_images, think_mode) == expected


def test_unknown_think_mode() -> None:
    with pytest.raises(ValueError, match="'fast'; allowed: None, 'think', 'no_think'"):
        render_question("What?", 1, "fast")


def test_negative_number_of_images() -> None:
    with pytest.raises(ValueError, match="n_images=-1"):
        render_question("What?", -1)


def test_token_after_each_image_is_lost_as_published() -> None:
    text = "<|startoftext|>a<image>\nb<image> <image><image>cd"
    head = characters("<|startoftext|>a")
    lost = [*head, -200, ord("b"), -200, -200, -200, ord("d")]
    assert encode_with_images(text, characters) == lost
    kept = [*head, -200, *characters("\nb"), -200, ord(" "), -200, -200, *characters("cd")]
    assert encode_with_images(text, characters, drop_after_image=False) == kept


def test_nothing_is_lost_without_bos() -> None:
    """The published code drops tokens only when the first chunk begins with BOS."""
    assert encode_with_images("a<image>bc", characters) == [ord("a"), -200, *characters("bc")]
    assert encode_with_images("<image>bc", characters) == [-200, *characters("bc")]


def test_text_without_images_is_encoded_whole() -> None:
    text = render_chat([("user", "Hi")])
    assert encode_with_images(text, characters) == characters(text)
    assert encode_with_images("", characters) == []


def test_the_encoders_list_is_not_changed() -> None:
    memory = {"<|startoftext|>a": [1, 2], "b": [3, 4]}
    encode_with_images("<|startoftext|>a<image>b", memory.__getitem__)
    assert memory == {"<|startoftext|>a": [1, 2], "b": [3, 4]}
