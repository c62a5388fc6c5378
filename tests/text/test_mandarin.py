"""Mandarin: spoken form, readings, tone sandhi, erhua."""

from importlib.resources import files

import pytest

from timbre.text.mandarin import convert
from timbre.text.mandarin_normalize import normalize, simplify
from timbre.text.mandarin_numbers import cardinal, decimal, digits
from timbre.text.mandarin_pinyin import syllable


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("我有3个苹果、21个梨和105颗葡萄。", "我有三个苹果,二十一个梨和一百零五颗葡萄."),
        ("造价是12500000元。", "造价是一千二百五十万元."),
        ("1,234元", "一千二百三十四元"),
        ("2024年3月15日", "二零二四年三月十五日"),
        ("2024/1/5和2024-03-15", "二零二四年一月五日和二零二四年三月十五日"),
        ("2019-2021年", "二零一九到二零二一年"),
        ("8:30和9:00-17:30", "八点半和九点至十七点三十分"),
        ("凌晨2:05", "凌晨两点零五分"),
        ("比分是3:2", "比分是三比二"),
        ("-5℃到10℃", "零下五到十度"),
        ("温度到37.5°C", "温度到三十七点五度"),
        ("20%和0.5%", "百分之二十和百分之零点五"),
        ("3/4杯", "四分之三杯"),
        ("手机13812345678", "手机幺三八幺二三四五六七八"),
        ("电话：0755-8888-6666", "电话,零七五五,八八八八,六六六六"),
        ("15℃~25℃", "十五到二十五度"),
        ("密码是778899", "密码是七七八八九九"),
        ("501室", "五零幺室"),
        ("2个，2月，12个，第2个", "两个,二月,十二个,第二个"),
        ("3~5斤，10-20分钟", "三到五斤,十到二十分钟"),
        ("5m，8mm，120km/h，10m²", "五米,八毫米,一百二十千米每小时,十平方米"),
        ("3+5=8，6×7=42", "三加五等于八,六乘七等于四十二"),
        ("版本1.2.3", "版本一点二点三"),
        ("¥700和$100", "七百元和一百美元"),
        ("30+个，10几年", "三十多个,十几年"),
        ("①②，第Ⅲ章", "一二,第三章"),
        ("二〇二四年", "二零二四年"),
        ("後來臺灣的麵條", "后来台湾的面条"),
        ("中国——一个伟大的国家", "中国,一个伟大的国家"),
        ("真的吗？！太好了！！！……", "真的吗?太好了!"),
        ("让我想想……", "让我想想…"),
        ("第一行\n第二行", "第一行,第二行"),
    ],
)
def test_spoken_form(text: str, spoken: str) -> None:
    assert normalize(text)[0] == spoken


def test_numbers() -> None:
    assert [cardinal(n) for n in (0, 10, 11, 20, 105, 110, 1001, 1010, 10010, 100003, 10**8, 10**12, -3)] == [
        "零", "十", "十一", "二十", "一百零五", "一百一十", "一千零一", "一千零一十", "一万零一十", "十万零三", "一亿",
        "一万亿", "负三",
    ]  # fmt: skip
    assert decimal("1,234.50") == "一千二百三十四点五零"
    assert digits("a1-0", one="幺") == "幺零"


def phones(text: str) -> str:
    return " ".join(convert(text)[0].phones)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("不要", "b u2 y ao4"),
        ("差不多", "ch a4 b u5 d uo1"),
        ("一个", "y i2 g e5"),
        ("一年", "y i4 n ian2"),
        ("第一", "d i4 y i1"),
        ("一百一十一", "y i4 b ai3 y i1 sh ir2 y i1"),
        ("看一看", "k an4 y i5 k an4"),
        ("你好", "n i2 h ao3"),
        ("展览馆", "zh an2 l an2 g uan3"),
        ("李厂长", "l i3 ch ang2 zh ang3"),
        ("桌子", "zh uo1 z i05"),
        ("女子", "n v2 z i03"),
        ("我们", "w o3 m en5"),
        ("东西", "d ong1 x i5"),
        ("银行", "y in2 h ang2"),
        ("长大", "zh ang3 d a4"),
        ("女儿", "n v3 EE er2"),
        ("一会儿", "y i2 h ui4 EE er4"),
        ("绿色", "l v4 s e4"),
        ("学院", "x ve2 y van4"),
        ("眼", "y En3"),
        ("欧洲", "OO ou1 zh ou1"),
        ("知识", "zh ir1 sh ir5"),
        ("四次", "s i04 c i04"),
    ],
)
def test_readings(text: str, expected: str) -> None:
    assert phones(text) == expected


def test_two_phones_for_each_character_one_for_each_mark() -> None:
    segment, unknown = convert("今天天气真不错，我们去公园走走吧。")
    assert unknown == ()
    assert segment.word2ph is not None
    assert len(segment.word2ph) == len(segment.normalized)
    assert sum(segment.word2ph) == len(segment.phones)
    assert [
        count for count, character in zip(segment.word2ph, segment.normalized, strict=True) if character in ",."
    ] == [1, 1]


def test_characters_without_reading_are_reported() -> None:
    segment, unknown = convert("好🙂は𠮷好")
    assert segment.phones == ("h", "ao2", "h", "ao3") or segment.phones == ("h", "ao3", "h", "ao3")
    assert set(unknown) == {"🙂", "は", "𠮷"}


def test_lexicon_comes_first() -> None:
    own = {"重庆": ("zh", "ong4", "q", "ing5")}
    assert " ".join(convert("在重庆。", own)[0].phones) == "z ai4 zh ong4 q ing5 ."


@pytest.mark.parametrize("text", ["", "zhuang", "b4", "xyz1", "a6", "中"])
def test_what_is_no_syllable(text: str) -> None:
    found = syllable(text)
    assert found is None or text in ("zhuang", "xyz1") or found.tone == 5


def test_simplifying_leaves_out_only_texts_that_opencc_leaves_alone() -> None:
    from opencc import OpenCC

    package = files("opencc") / "dictionary"
    phrases = [
        line.partition("\t")[0]
        for name in ("TSPhrases.txt", "TSCharacters.txt")
        for line in (package / name).read_text(encoding="utf-8").splitlines()
    ]
    reference = OpenCC("t2s")
    assert [text for text in phrases[::7] if simplify(text) != reference.convert(text)] == []
    assert simplify("乾坤一目瞭然，乾淨的台灣") == "乾坤一目了然，干净的台湾"
