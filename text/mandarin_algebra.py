"""Mandarin formulas: sums, products, fractions, powers, roots, functions and comparisons, read as one composition.

y=(x+2)² is y 等于 x 加二的平方, sin²α+cos²α=1, |x-2|<3, 1/2+1/3=5/6. A run of letters, digits and signs is parsed as a
formula; what is no formula, or too little of one to be sure (a-b, 3-5), is left to the other rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from timbre.text.mandarin_numbers import cardinal, decimal

GREEK = {
    "α": "阿尔法", "β": "贝塔", "γ": "伽玛", "δ": "德尔塔", "ε": "艾普西龙", "ζ": "捷塔", "η": "依塔", "θ": "西塔",
    "ι": "艾欧塔", "κ": "喀帕", "λ": "拉姆达", "μ": "缪", "ν": "拗", "ξ": "克西", "ο": "欧米克伦", "π": "派", "ρ": "肉",
    "σ": "西格玛", "ς": "西格玛", "τ": "套", "υ": "宇普西龙", "φ": "服艾", "χ": "器", "ψ": "普赛", "ω": "欧米伽",
}  # fmt: skip
"""Names of Greek letters."""
_RELATIONS = {
    "=": "等于", "==": "等于", "≈": "约等于", "≠": "不等于", "!=": "不等于", "<": "小于", ">": "大于", "≤": "小于等于",
    "≥": "大于等于", "<=": "小于等于", ">=": "大于等于", "≡": "恒等于", "∈": "属于", "⊆": "包含于", "⊂": "真包含于",
    "∝": "正比于", "→": "趋于",
}  # fmt: skip
_SUMS = {"+": "加", "-": "减", "−": "减", "±": "加减", "∪": "并", "∩": "交"}
_PRODUCTS = {"×": "乘", "*": "乘", "·": "乘", "⋅": "乘", "÷": "除以"}
_SIGNS = {"+": "正", "-": "负", "−": "负", "±": "正负"}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿᵐˣ", "0123456789-+nmx")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₙₖₘᵢⱼₓ₊₋", "0123456789nkmijx+-")
_FUNCTIONS = "arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|lg|ln|exp|lim|max|min"
_ELEMENTS = (
    "H|He|Li|Be|B|C|N|O|F|Ne|Na|Mg|Al|Si|P|S|Cl|Ar|K|Ca|Ti|Cr|Mn|Fe|Co|Ni|Cu|Zn|As|Se|Br|Ag|Cd|Sn|I|Ba|W|Pt|Au|Hg|Pb|U"
)
_TOKEN = re.compile(
    rf"(?P<space>\s+)|(?P<number>\d+(?:\.\d+)?)|(?P<function>(?:{_FUNCTIONS})(?![a-z]{{2}}))"
    r"|(?P<letters>[A-Z]{1,4}(?![a-z])|[a-z](?:[A-Z]{1,2}(?![a-z]))?(?![a-z])|[a-z]{2}(?![A-Za-z])|pH)(?P<prime>['′]*)"
    rf"|(?P<elements>(?:{_ELEMENTS}){{1,5}}(?![A-Za-z]))"
    r"|(?P<below>[₀-₉ₙₖₘᵢⱼₓ₊₋]+)|(?P<raised>[⁰¹²³⁴-⁹⁻⁺ⁿᵐˣ]+|\^(?:[-−]?\d+|[a-z](?![a-z])|\([^()]{1,8}\)))"
    rf"|(?P<factorial>(?<=[)）])!|!(?!=))|(?P<greek>[{''.join(GREEK)}ΔΩΣΦ])|(?P<relation>==|<=|>=|!=|[=≈≠<>≤≥≡∈⊆⊂∝→])|(?P<sum>[-+−±∪∩])|(?P<product>[×*·⋅÷])"
    r"|(?P<slash>/)|(?P<root>[√∛])|(?P<open>[(（\[{])|(?P<close>[)）\]}])|(?P<bar>\|)|(?P<degree>°)"
    r"|(?P<percent>%)|(?P<infinity>∞)|(?P<shape>[∠△⊙])|(?P<leaves>[↓↑])|(?P<comma>,\s?)"
)
_RUN = re.compile(
    rf"(?<![A-Za-z0-9_.:/@#&?\"-])(?:(?:{_FUNCTIONS})(?![a-z]{{2}})|\d+(?:\.\d+)?|[A-Za-z]{{1,4}}|[-+−±(（\[{{|√∛Δ∞∠△⊙{''.join(GREEK)}])"
    rf"(?:[\dA-Za-z'′₀-₉ₙₖₘᵢⱼₓ₊₋⁰¹²³⁴-⁹⁻⁺ⁿᵐˣ^{''.join(GREEK)}ΔΩΣΦ=≈≠<>≤≥≡∈⊆⊂∝→+−±∪∩×*·⋅÷/√∛↓↑∠△⊙()（）\[\]{{}}|!°%∞-]"
    r"|(?:(?<=sin|cos|tan|log|lim)|(?<=ln|lg))[ ](?=[a-zα-ω\d(（])"
    r"|\.(?=\d)|,(?=\d)|[ ](?=[=≈≠<>≤≥≡∈+−±×÷*/∝→-][ ]?[\dA-Za-z(√|α-ω∞+−-])"
    r"|(?<=[=≈≠<>≤≥≡∈+−±×÷*/∝→-])[ ](?=[\dA-Za-z(√|α-ω∞+−-])){1,80}"
)
_SIGN = re.compile(f"[=≈≠<>≤≥∈∝²³⁴-⁹⁻ⁿ^√∛|!+×÷{''.join(GREEK)}]|sin|cos|tan|log|ln|lg")
_WORDS = frozenset(
    [
        *("if", "is", "as", "or", "to", "in", "on", "at", "of", "by", "an", "am", "be", "do", "go", "he", "it", "me"),
        *("my", "no", "so", "up", "us", "we", "ok", "hi", "ps", "vs", "pm", "tv", "pc"),
    ]
)


class _NoFormula(Exception):
    """The run is no formula."""


@dataclass
class _Reader:
    """Parses one run from its start; `seen` collects what makes it a formula."""

    text: str
    """The run."""
    position: int
    """Where the next token begins."""
    seen: set[str]
    """Kinds of what was read: relation, sum, product, fraction, power, function, letter, number, root, bars."""

    def peek(self) -> tuple[str, str, int]:
        """Kind, text and end of the next token; kind '' at the end."""
        match = _TOKEN.match(self.text, self.position)
        if match is not None and match.lastgroup == "space":
            after = _TOKEN.match(self.text, match.end())
            if after is None or (after.lastgroup not in ("relation", "sum", "product", "slash") and self.position):
                before = self.text[self.position - 1 : self.position]
                match = after if before in _AFTER_SPACE else None
            else:
                match = after
        if match is None:
            return "", "", self.position
        kind = match.lastgroup or ""
        return ("letters" if kind in ("prime", "elements") else kind), match[0].strip(), match.end()

    def take(self) -> str:
        _, token, self.position = self.peek()
        return token

    def formula(self) -> str:
        """Sums and what compares them."""
        words = self.sum()
        while (step := self.peek())[0] == "relation":
            start = self.position
            self.take()
            try:
                right = self.sum()
            except _NoFormula:
                self.position = start
                break
            self.seen.add("relation")
            words += _RELATIONS[step[1]] + right
        return words

    def sum(self) -> str:
        """Products and what adds them."""
        words = ""
        if self.peek()[0] == "sum":
            words = _SIGNS.get(self.take(), "")
        words += self.product()
        while (step := self.peek())[0] == "sum":
            start = self.position
            self.take()
            try:
                right = self.product()
            except _NoFormula:
                self.position = start
                break
            self.seen.add("difference" if step[1] in "-−" else "sum")
            words += _SUMS[step[1]] + right
        return words

    def product(self) -> str:
        """Fractions and what multiplies them."""
        words = self.fraction()
        while (step := self.peek())[0] == "product":
            start = self.position
            self.take()
            try:
                right = self.fraction()
            except _NoFormula:
                self.position = start
                break
            self.seen.add("product")
            words += _PRODUCTS[step[1]] + right
        return words

    def fraction(self) -> str:
        """2a/b is b 分之二 a."""
        begin = self.position
        words = self.factors()
        while self.peek()[0] == "slash":
            start = self.position
            self.take()
            number = re.fullmatch(r"\d+", self.text[begin:start]) is not None
            try:
                # 1/3πr² is a third of the rest; a/2b has both below.
                below = self.factor() if number and self.peek()[0] == "number" else self.factors()
                if re.fullmatch(" [A-Z]{3,} ", below):
                    raise _NoFormula  # a pair of currencies
            except _NoFormula:
                self.position = start
                break
            self.seen.add("fraction")
            words = f"{below}分之{words}"
            if number and self.peek()[0] in ("letters", "greek", "root", "open") and self.text[self.position] != " ":
                words += self.factors()
        return words

    def factors(self) -> str:
        """Factors without a sign between them: 2πr."""
        words = self.factor()
        while self.peek()[0] in ("letters", "greek", "function", "open", "root") or (
            self.peek()[0] == "number" and self.text[self.position - 1 : self.position] in ")）"
        ):
            if self.text[self.position] == " ":
                break
            start = self.position
            try:
                words += self.factor()
            except _NoFormula:
                self.position = start
                break
        return words

    def factor(self) -> str:
        """A number, letter, function, root, bracket or absolute value with its powers."""
        kind, token, _ = self.peek()
        if kind == "shape":
            self.take()
            words = _SHAPES[token]
            if self.peek()[0] == "number":
                self.seen.add("letter")
            return words + self.factor()
        if kind not in ("number", "letters", "greek", "function", "open", "root", "bar", "infinity"):
            raise _NoFormula
        self.take()
        if kind == "number":
            self.seen.add("number")
            words = decimal(token)
            if self.peek()[0] == "root":
                words += "倍"
            if self.peek()[0] == "percent":
                self.take()
                words = f"百分之{words}"
        elif kind == "letters":
            words = self.letters(token)
        elif kind == "greek":
            self.seen.add("letter")
            words = _greek(token)
        elif kind == "function":
            return self.function(token)
        elif kind == "root":
            self.seen.add("root")
            words = ("根号" if token == "√" else "三次根号") + self.factor()
        elif kind == "infinity":
            words = "无穷大"
        elif kind == "bar":
            words = self.formula()
            if self.peek()[0] != "bar":
                raise _NoFormula
            self.take()
            self.seen.add("bars")
            words += "的绝对值"
        else:
            words = self.bracket(token)
        return words + self.after()

    def letters(self, token: str) -> str:
        """x, AB, x₁, S10, f'."""
        if token in _WORDS:
            raise _NoFormula
        self.seen.add("letter")
        name = token.rstrip("'′")
        words = f" {name} " + "撇" * (len(token) - len(name))
        step, written, _ = self.peek()
        if step == "below":
            self.take()
            words += _index(written)
        elif step == "number" and self.text[self.position] != " " and "." not in written and len(written) < 3:
            self.take()
            words += cardinal(int(written))
        return words

    def function(self, name: str) -> str:
        """sin²α, log₂8, ln x."""
        self.seen.add("function")
        kind, token, _ = self.peek()
        base = power = ""
        if kind == "below":
            self.take()
            base = _index(token)
        if self.peek()[0] == "raised":
            power = _power(self.take()).removeprefix("的")
        if self.peek()[0] == "" and self.text[self.position : self.position + 1] == " ":
            self.position += 1
        argument = self.factors()
        if name == "log" and base:
            return f"以{base}为底{argument}的对数"
        return f" {name} {base}{power}{argument}"

    def bracket(self, opening: str) -> str:
        """What stands in brackets; {x|x>0} has its condition behind the bar."""
        words = self.formula()
        if opening == "{" and self.peek()[0] == "bar":
            self.take()
            words += "，" + self.formula()
        while self.peek()[0] == "comma":
            self.take()
            words += "，" + self.formula()
        if self.peek()[0] != "close":
            raise _NoFormula
        self.take()
        return words

    def after(self) -> str:
        """Powers, factorials and degrees behind a factor."""
        words = ""
        while (step := self.peek())[0] in ("raised", "factorial", "degree", "leaves", "below"):
            self.take()
            if step[0] == "raised":
                if step[1][-1] in "⁺⁻":
                    raise _NoFormula  # the charge of an ion
                self.seen.add("power")
                words += _power(step[1])
            elif step[0] == "factorial":
                self.seen.add("factorial")
                words += "的阶乘"
            elif step[0] == "below":
                words += _index(step[1])
            elif step[0] == "leaves":
                words += "沉淀" if step[1] == "↓" else "气体"
            else:
                words += "度"
        return words


_SHAPES = {"∠": "角", "△": "三角形", "⊙": "圆"}
_AFTER_SPACE = frozenset("=≈≠<>≤≥≡∈⊆⊂∝→+-−±×*·⋅÷/")


def _greek(letter: str) -> str:
    return GREEK.get(letter) or GREEK[letter.lower()]


def _index(written: str) -> str:
    digits = written.translate(_SUBSCRIPTS)
    return cardinal(int(digits)) if digits.isdigit() else f" {digits} "


def _power(written: str) -> str:
    """² is 的平方, ⁻¹ is 的负一次方, ^(n+1) is 的 n 加一次方."""
    inner = written.lstrip("^").translate(_SUPERSCRIPTS).strip("()").replace("−", "-")
    if inner in ("2", "3"):
        return "的平方" if inner == "2" else "的立方"
    if re.fullmatch(r"-?\d+", inner):
        return f"的{cardinal(int(inner))}次方"
    reader = _Reader(inner, 0, set())
    return f"的{reader.formula()}次方"


_TERMS = re.compile(r"(?<![A-Za-z\d])(?:\d[a-z](?![A-Za-z\d])|[xyzknm]\s?[+−-]\s?\d)")
"""What makes letters and numbers with a plus or a minus a formula: 4a+6b-5, n-1; not a-5, B-1."""


_LETTERS = re.compile(r"(?!a-z$)[a-z](?:\s?[+−-]\s?[a-z\d]){1,4}")
"""Letters with a plus or a minus that are a formula before 的: a+b的值."""


def _is_formula(seen: set[str], written: str) -> bool:
    """Enough of a formula: a relation or power with a letter, a root, a function, or fractions in a sum."""
    lettered = bool(seen & {"letter", "root", "function"})
    if "bars" in seen or "root" in seen or "function" in seen:
        return True
    if lettered:
        return bool(seen & {"relation", "power"} or (_TERMS.search(written) and seen & {"sum", "difference"}))
    return "fraction" in seen and bool(seen & {"relation", "sum", "product"})


def expand_formulas(text: str) -> str:
    """The text with its formulas in words: 若|x-2|<3 -> 若 x 减二的绝对值小于三."""
    if not _SIGN.search(text):
        return text
    found: list[str] = []
    position = 0
    while run := _RUN.search(text, position):
        end = run.end()
        found.append(text[position : run.start()])
        reader = _Reader(run[0], 0, set())
        try:
            spoken = reader.formula()
        except (_NoFormula, RecursionError):
            spoken = ""
        rest = run[0][reader.position :]
        whole = spoken and not re.match(r"[\dA-Za-z=<>/^~_@:]|[-+*×](?=[\dA-Za-z])|\.\d", (rest or text[end : end + 2]))
        if (
            whole
            and not re.fullmatch("[kcdm]?m[²³]", run[0])
            and (_is_formula(reader.seen, run[0]) or (text[end : end + 1] == "的" and _LETTERS.fullmatch(run[0])))
        ):
            found.append(re.sub(" +", " ", spoken))
            position = run.start() + reader.position
        else:
            found.append(run[0])
            position = end
    return "".join(found) + text[position:]
