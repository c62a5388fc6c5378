"""Chinese titles, meanings and reasons for the report: what the English columns of the page say."""

from __future__ import annotations

from timbre.evaluation.gates import Verdict
from timbre.evaluation.metrics.catalogue import Direction

# metric -> (title, what its gate protects)
TITLES: dict[str, tuple[str, str]] = {
    "pesq_nb": ("PESQ（窄带）", "录音经过模型之后仍然忠实"),
    "pesq_wb": ("PESQ（宽带）", "同窄带，频率到 7 kHz"),
    "stoi": ("STOI", "经过模型之后词语仍然清晰"),
    "estoi": ("扩展 STOI", "同 STOI，并考虑频带之间的变化"),
    "phone_error_rate": ("音素错误率", "读出的内容与文本相符"),
    "word_error_rate": ("词语错误率", "词语听得出来"),
    "listener_error_rate": ("Whisper 词语错误率", "听者听得懂词语"),
    "distilled_mos": ("DistillMOS 预测分", "预测听感好"),
    "tone_error_rate": ("声调错误率", "声调与文本相符"),
    "pitch_distance": ("语调", "语调与录音一致"),
    "pause_deviation": ("停顿", "停顿与录音一致"),
    "pace_deviation": ("语速与停顿", "所用的时间与录音一致"),
    "failed_sentences": ("失败的句子", "不会提前结束、重复或拖长"),
    "speaker_similarity": ("说话人相似度（相对值）", "听起来像录音中的本人"),
    "dnsmos": ("DNSMOS 总分", "预测听感干净"),
    "level_dbfs": ("语音电平", "每句话都听得见"),
    "peak_dbfs": ("采样峰值", "超出满幅的部分会被流式输出截掉"),
    "clipped_share": ("平顶比例", "波峰没有被削平"),
    "bandwidth_hz": ("滚降频率（99 %）", "听起来不像电话"),
    "memorisation": ("背诵程度", "学会的是声音，而不是录音"),
    "held_out_loss": ("训练后的留出损失", "训练确实有效果"),
}


def title(verdict: Verdict) -> str:
    """The Chinese name of the verdict's metric, and whether it judges int8."""
    return TITLES[verdict.metric.name][0] + ("（int8）" if verdict.gate.judges_int8 else "")


def meaning(verdict: Verdict) -> str:
    """What the gate protects; empty only for a gate without words in English too."""
    return TITLES[verdict.metric.name][1]


def reason(verdict: Verdict) -> str:
    """Value and limit of a verdict, in words."""
    if verdict.value is None:
        return "没有数值"
    if verdict.gate.limit is None:
        return f"数值 {verdict.metric.text(verdict.value)}，比底模、生产版本或录音差"
    sign = "不低于" if verdict.metric.direction is Direction.HIGHER else "不高于"
    return f"数值 {verdict.metric.text(verdict.value)}，限值：{sign} {verdict.metric.text(verdict.gate.limit)}"
