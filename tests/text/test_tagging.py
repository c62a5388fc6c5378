"""The array search for unknown words against jieba's own."""

import random

from timbre.text.mandarin_tagging import jieba_package, model, tagged


def test_routes_are_those_of_jieba() -> None:
    posseg = jieba_package().posseg
    draw = random.Random(3)
    common = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
    for _ in range(60):
        text = "".join(draw.choices(common, k=draw.randint(1, 12)))
        expected = posseg.viterbi(text, posseg.char_state_tab_P, posseg.start_P, posseg.trans_P, posseg.emit_P)[1]
        assert model().route(text) == expected, text


def test_words_are_those_of_jieba() -> None:
    text = "欧阳修和尉迟恭在翟营村遇见了任正非他们去咯吱窝公园走走"
    assert tagged(text) == [(pair.word, pair.flag) for pair in jieba_package().posseg.cut(text)]
    assert "".join(word for word, _ in tagged(text)) == text
