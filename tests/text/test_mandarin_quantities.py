"""Mandarin quantities and formulas: what is composed, and what only resembles one."""

import re

import pytest

from timbre.text.mandarin_algebra import expand_formulas
from timbre.text.mandarin_quantities import expand_bare_units, expand_quantities
from timbre.text.mandarin_units import UNITS, chain_words


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ("mg·kg⁻¹·d⁻¹", "毫克每千克每天"),
        ("W/(m²·K)", "瓦每平方米开"),
        ("kg·m/s²", "千克米每平方秒"),
        ("mol·L-1", "摩尔每升"),
        ("km/小时", "千米每小时"),
        ("mg/24h", "毫克每二十四小时"),
        ("kW·h", "千瓦时"),
        ("元/㎡·月", "元每平方米每月"),
    ],
)
def test_units_are_put_together(chain: str, words: str) -> None:
    assert chain_words(chain) == words


def test_every_prefix_of_a_base_has_a_name() -> None:
    assert {UNITS[name] for name in ("nm", "μm", "mm", "cm", "dm", "km")} == {
        "纳米", "微米", "毫米", "厘米", "分米", "千米",
    }  # fmt: skip
    assert all(re.search("[\u4e00-\u9fff]", name) for name in UNITS.values())


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("果径80-85mm", "果径八十到八十五毫米"),
        ("-10℃~+40℃", "零下十到零上四十度"),
        ("(128.4±11.2)g/L", "一百二十八点四正负十一点二克每升"),
        ("$50~$100/月", "五十到一百美元每月"),
        ("500ml*12瓶/箱", "五百毫升乘十二瓶每箱"),
        ("1.8m×2.0m", "一点八米乘二点零米"),
        ("80W+50W无线", "八十瓦加五十瓦无线"),
        ("含羊毛≥30%", "含羊毛大于等于百分之三十"),
        ("5×10⁴个/mL", "五乘十的四次方个每毫升"),
        ("净重4.5kg+", "净重四点五千克多"),
        ("2kg，2万km，2%", "两千克，两万千米，百分之二"),
        ("满¥500-80", "满五百元减八十"),
        ("5kg-3kg=2kg", "五千克减三千克等于两千克"),
        ("220V/50Hz", "二百二十伏，五十赫兹"),
        ("营收$1.2B，¥1,299.00", "营收十二亿美元，一千二百九十九元"),
        ("误差+0.5/-0.3mm", "误差正零点五，负零点三毫米"),
        ("油耗8L/100km", "油耗每百公里八升"),
    ],
)
def test_a_quantity_is_composed(text: str, spoken: str) -> None:
    assert expand_quantities(text) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "5A景区和3D打印，5g手机", "8:30-9:30，2024-03-15", "1990s的歌", "PM2.5和A4纸", "1×2×3", "粉丝100W", "39°54′N",
        "比分3-2", "GB/T 7714", "v=s/t", "第3名",
    ],
)  # fmt: skip
def test_what_has_no_unit_is_left(text: str) -> None:
    assert expand_bare_units(expand_quantities(text)) == text


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("若|x-2|<3", "若 x 减二的绝对值小于三"),
        ("得y=(x+2)²", "得 y 等于 x 加二的平方"),
        ("sin²α+cos²α=1", " sin 平方阿尔法加 cos 平方阿尔法等于一"),
        ("V=1/3πr²h", " V 等于三分之一派 r 的平方 h "),
        ("1/2+1/3=5/6", "二分之一加三分之一等于六分之五"),
        ("log₂8=3，ln e=1", "以二为底八的对数等于三， ln e 等于一"),
        ("x=(-b±√(b²-4ac))/(2a)", " x 等于二 a 分之负 b 加减根号 b 的平方减四 ac "),
        ("(n-1)!=6", " n 减一的阶乘等于六"),
        ("aⁿ⁺¹，e^(iπ)+1=0", " a 的 n 加一次方， e 的 i 派次方加一等于零"),
        ("B={x|x²-1>0}", " B 等于 x ， x 的平方减一大于零"),
        ("∠1+∠2=90°", "角一加角二等于九十度"),
        ("CO₂+Ca(OH)₂=CaCO₃↓+H₂O", " CO 二加 Ca OH 二等于 CaCO 三沉淀加 H 二 O "),
    ],
)
def test_a_formula_is_parsed(text: str, spoken: str) -> None:
    assert expand_formulas(text) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "A-B轮融资",
        "从a-z",
        "3-5天",
        "C++和A+B",
        "1/2杯",
        "a.com/?x=3",
        "CNY/USD=0.14",
        "SO₄²⁻",
        "(完)",
        "km²",
    ],
)
def test_what_is_no_formula_is_left(text: str) -> None:
    assert expand_formulas(text) == text


def test_a_long_run_of_signs_takes_no_more_steps_than_its_length() -> None:
    for unit in ("1×", "2-", "a+b", "(", "5kg-", "1/", "√", "|", "x²+", "1、"):
        text = "长" + unit * 4000
        assert expand_formulas(expand_quantities(text))
