"""How long sounds mostly last on nano, in codes of 40 ms: what a guess of the next codes is drawn from.

`python -m benchmarks.phone_lengths` prints the table. It decides no code: a wrong guess costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

MOST = 8
"""Codes so far that are told apart; a sound that has had more goes on as after so many."""
PAUSES = 0.77
"""Share of the marks at which a pause is spoken."""
_OTHERS = 0.5
_TABLE = """
<silence> 97 98 95 9 72 32 71 55
AA 88 80 46 39 36 47 64 53
AE 85 83 45 41 23 46 60 59
AH 50 11 43 39 38 46 60 59
AO 89 70 55 29 29 46 60 59
AW 86 69 70 52 34 52 53 59
AY 94 86 71 41 36 33 60 59
B 34 17 60 36 43 46 60 59
CH 89 37 45 43 49 52 64 61
D 32 17 48 36 43 46 60 59
DH 11 27 60 36 43 46 60 59
E 77 32 60 36 43 46 60 59
EH 91 70 26 32 35 46 60 59
ER 96 67 45 19 45 52 53 59
EY 93 87 77 43 41 47 58 72
F 53 12 60 36 43 46 60 59
G 31 35 60 36 43 46 60 59
HH 39 17 60 36 43 46 60 59
IH 74 13 49 29 43 46 60 59
IY 96 59 58 48 57 45 57 56
JH 74 27 60 36 43 46 60 59
K 72 11 44 36 43 46 60 59
L 53 11 58 32 43 46 60 59
M 37 14 60 36 43 46 60 59
N 47 8 58 43 49 52 53 59
NG 50 25 60 36 43 46 60 59
OW 92 81 70 56 28 42 64 57
OY 74 55 68 49 45 41 60 59
P 61 11 54 36 43 46 60 59
R 57 11 62 29 43 46 60 59
S 94 22 36 37 45 52 53 59
SH 69 57 52 39 38 46 60 59
T 40 16 49 35 49 41 60 59
TH 49 39 60 36 43 46 60 59
UH 61 27 60 36 43 46 60 59
UW 63 60 63 57 40 52 58 53
V 34 22 60 36 43 46 60 59
W 41 16 60 36 43 46 60 59
Y 34 50 54 36 43 46 60 59
Z 88 13 44 36 43 46 60 59
ZH 60 44 60 36 43 46 60 59
a 93 50 51 52 50 61 71 61
ai 95 77 63 41 47 44 58 67
an 93 78 58 60 50 41 58 72
ang 93 81 60 47 53 44 58 53
ao 93 83 64 37 50 31 60 59
b 52 15 60 36 43 46 60 59
c 71 39 60 36 43 46 60 59
ch 92 34 45 29 43 46 60 59
d 25 18 60 36 43 46 60 59
e 76 37 29 40 35 46 60 59
ei 90 58 52 45 40 41 60 59
en 86 51 43 30 38 46 60 59
eng 85 56 70 37 35 46 60 59
er 64 50 54 36 43 46 60 59
f 70 19 60 36 43 46 60 59
g 42 18 60 36 43 46 60 59
h 68 10 60 36 43 46 60 59
i 88 42 46 27 35 46 60 59
i0 71 34 48 36 43 46 60 59
ia 89 76 72 52 43 52 58 53
ian 94 80 73 61 35 36 64 57
iang 84 72 68 56 34 52 64 57
iao 88 80 76 39 57 47 68 52
ie 81 58 79 52 34 52 53 59
in 86 58 59 32 49 52 64 53
ing 87 57 49 22 43 46 60 59
ir 92 44 52 45 31 46 60 59
iu 84 59 49 29 43 46 60 59
j 38 21 60 36 43 46 60 59
k 88 34 57 39 49 52 64 61
l 53 11 60 36 43 46 60 59
m 29 22 60 36 43 46 60 59
n 28 35 60 36 43 46 60 59
o 76 24 58 32 43 46 60 59
ong 87 67 77 40 37 41 60 59
ou 92 47 49 30 49 41 60 59
p 84 28 54 36 43 46 60 59
q 93 45 32 29 43 46 60 59
r 57 35 60 36 43 46 60 59
s 81 31 48 36 43 46 60 59
sh 76 8 60 36 43 46 60 59
t 94 21 34 36 43 46 60 59
u 90 43 49 30 49 52 53 59
ua 74 55 58 32 43 46 60 59
uai 64 50 65 43 49 52 64 57
uan 82 54 65 44 55 57 48 59
uang 77 59 71 44 45 52 53 59
ui 84 66 65 53 45 57 58 61
un 74 45 65 32 43 46 60 59
uo 91 81 57 41 50 42 64 53
v 80 31 62 39 38 46 60 59
van 74 58 57 39 49 52 64 61
ve 82 54 74 40 45 41 60 59
vn 71 39 60 36 43 46 60 59
w 50 17 54 36 43 46 60 59
x 51 13 60 36 43 46 60 59
y 56 15 58 43 38 46 60 59
z 69 11 60 36 43 46 60 59
zh 70 13 60 36 43 46 60 59
"""
"""Class and how many times of a hundred it goes on after 1, 2, ... MOST codes."""


@cache
def _shares() -> Mapping[str, tuple[float, ...]]:
    rows = (line.split() for line in _TABLE.split("\n") if line)
    return {name: tuple(int(share) / 100 for share in shares) for name, *shares in rows}


def goes_on(name: str, so_far: int) -> float:
    """How likely a sound of the class (text/recognition.py) goes on that has had so many codes, one at least."""
    shares = _shares().get(name)
    return _OTHERS if shares is None else shares[min(so_far, MOST) - 1]
