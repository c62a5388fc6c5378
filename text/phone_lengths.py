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
<silence> 96 93 92 25 92 9 55 72
AA 86 70 49 43 37 47 65 74
AE 86 81 67 40 40 23 57 64
AH 50 20 25 51 37 40 57 64
AO 89 75 66 42 35 27 57 64
AW 91 73 71 56 57 32 61 57
AY 96 82 80 46 34 40 65 55
B 36 10 60 46 51 40 57 64
CH 90 33 55 47 50 46 61 74
D 33 13 49 52 45 40 57 64
DH 13 19 54 46 51 40 57 64
E 78 37 54 46 51 40 57 64
EH 91 58 44 31 39 35 57 64
ER 95 61 48 32 41 38 50 64
EY 95 84 82 45 38 48 59 55
F 48 15 44 46 51 40 57 64
G 26 29 60 46 51 40 57 64
HH 31 19 54 46 51 40 57 64
IH 69 23 48 48 54 38 61 57
IY 92 55 61 52 50 43 50 62
JH 72 26 65 41 51 40 57 64
K 71 20 53 48 67 43 55 64
L 52 17 29 41 51 40 57 64
M 41 13 48 46 51 40 57 64
N 47 10 52 47 60 42 61 57
NG 54 16 60 46 51 40 57 64
OW 96 85 65 55 48 34 41 64
OY 78 62 74 64 42 35 57 64
P 65 13 37 46 51 40 57 64
R 52 6 58 41 51 40 57 64
S 87 39 36 43 63 44 59 51
SH 73 45 59 55 55 32 57 64
T 44 19 44 35 40 40 57 64
TH 53 38 60 46 51 40 57 64
UH 52 32 54 46 51 40 57 64
UW 65 57 67 56 55 55 50 51
V 29 16 60 46 51 40 57 64
W 45 16 58 41 51 40 57 64
Y 39 45 68 47 56 46 61 57
Z 88 21 40 39 56 35 57 64
ZH 54 43 60 46 51 40 57 64
a 87 54 61 49 57 48 59 65
ai 97 75 62 54 43 51 58 70
an 95 78 68 60 42 41 50 57
ang 95 85 59 50 68 54 64 62
ao 95 80 57 61 42 30 61 61
b 52 13 54 46 51 40 57 64
c 74 35 60 46 51 40 57 64
ch 95 41 38 44 40 40 57 64
d 33 11 54 46 51 40 57 64
e 80 39 43 45 38 52 45 64
ei 93 40 57 40 60 32 57 64
en 86 51 51 43 47 52 55 64
eng 88 61 60 40 40 40 57 64
er 74 55 48 46 51 40 57 64
f 75 12 60 46 51 40 57 64
g 45 11 60 46 51 40 57 64
h 60 12 58 52 45 40 57 64
i 91 40 48 49 36 52 45 64
i0 75 42 46 47 45 40 57 64
ia 92 81 74 54 53 51 63 65
ian 96 80 73 71 49 37 50 55
iang 88 66 68 54 47 42 50 64
iao 92 83 70 67 57 57 68 66
ie 81 57 64 62 47 32 57 64
in 89 73 54 64 50 56 59 62
ing 89 56 60 38 34 40 57 64
ir 92 41 56 54 54 56 50 70
iu 88 75 52 40 40 40 57 64
j 51 14 65 52 45 40 57 64
k 92 28 49 57 50 46 61 61
l 55 16 57 37 51 40 57 64
m 36 12 60 46 51 40 57 64
n 20 35 60 46 51 40 57 64
o 68 18 68 57 50 35 57 64
ong 92 73 78 47 57 40 55 61
ou 95 51 48 46 70 40 55 57
p 88 34 40 46 51 40 57 64
q 95 51 43 33 50 35 57 64
r 46 35 60 46 51 40 57 64
s 80 22 48 46 51 40 57 64
sh 61 7 60 46 51 40 57 64
t 93 17 34 52 45 40 57 64
u 89 51 54 46 57 43 55 61
ua 78 62 65 51 40 40 57 64
uai 54 43 60 46 51 40 57 64
uan 85 53 70 51 55 42 50 64
uang 81 60 76 59 59 56 59 55
ui 85 69 70 51 59 47 45 64
un 78 45 68 37 51 40 57 64
uo 94 75 53 57 34 42 50 64
v 79 37 52 61 37 40 57 64
van 77 58 72 40 60 52 65 69
ve 87 52 66 59 50 42 61 67
vn 74 35 60 46 51 40 57 64
w 49 14 68 47 45 40 57 64
x 63 11 48 46 51 40 57 64
y 45 17 60 51 60 52 65 75
z 70 12 44 46 51 40 57 64
zh 64 8 60 46 51 40 57 64
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
