"""What a red gate means for a listener, and what a metric does not show, in English and Chinese."""

from __future__ import annotations

HEARD: dict[str, tuple[str, str]] = {
    "pesq_nb": (
        "Copies sound rough, hissing or metallic beside the recording.",
        "与录音相比，还原的声音粗糙、有杂音或带金属声。",
    ),
    "pesq_wb": ("The highs are rough or noisy.", "高频部分粗糙或有噪声。"),
    "stoi": ("Words are blurred: a listener has to guess some of them.", "词语含糊，听者需要猜测。"),
    "estoi": ("Words are blurred where the sound changes fast.", "声音变化快的地方词语含糊。"),
    "phone_error_rate": (
        "Sounds are wrong or missing: the sentence is hard to follow.",
        "有音读错或缺失，句子难以听懂。",
    ),
    "word_error_rate": ("Whole words cannot be made out.", "有整个词语听不出来。"),
    "listener_error_rate": ("A listener mishears or misses words.", "听者会听错或漏掉词语。"),
    "distilled_mos": ("The voice sounds poor or artificial.", "听感差或不自然。"),
    "tone_error_rate": ("Tones are wrong: a listener hears other words.", "声调不对，听起来像别的字。"),
    "pitch_distance": ("The melody is flat, exaggerated, too high or too low.", "语调太平、太夸张、太高或太低。"),
    "pause_deviation": ("Pauses are missing, or stand where none belong.", "该停的地方不停，或停得太久。"),
    "pace_deviation": ("The voice hurries or drags.", "语速过快或拖沓。"),
    "failed_sentences": (
        "Sentences break off, repeat themselves, or go on after their end.",
        "句子中断、重复，或读完后仍不停止。",
    ),
    "speaker_similarity": ("A listener would not recognise the speaker.", "听者认不出是这位说话人。"),
    "dnsmos": ("The voice sounds noisy or artificial.", "声音有噪声或不自然。"),
    "level_dbfs": ("At least one sentence is so quiet that it is missed.", "至少有一句轻得听不见。"),
    "peak_dbfs": ("Loud syllables crackle when streamed.", "流式播放时，响的音节会爆裂。"),
    "clipped_share": ("Loud syllables crackle.", "响的音节会爆裂。"),
    "bandwidth_hz": ("The voice sounds like a telephone call.", "声音听起来像在打电话。"),
    "memorisation": ("New sentences sound worse than those that were recorded.", "新的句子不如录过的句子好听。"),
    "held_out_loss": ("The voice sounds like the base, not like the recordings.", "声音像底模，而不像录音。"),
}
CAUTIONS: dict[str, str] = {
    "pesq_nb": "需要同一时刻的同样词语；听不出削波和 3.4 kHz 以上的部分。",
    "pesq_wb": "需要同一时刻的同样词语；对轻微嘶声的扣分远超听感。",
    "stoi": "未经训练的还原已超过 0.95：低值说明有问题，高值说明不了什么。",
    "estoi": "需要对齐到约一毫秒。",
    "phone_error_rate": "也包含识别器自身的错误：请与真实录音的错误率比较。",
    "word_error_rate": "一个词有一半音素错误才算错；不分声调。",
    "listener_error_rate": "带语言模型：会原谅听者需要猜测的词。",
    "distilled_mos": "录音约为 4.2 分，普通话录音偏低；不懂词语，清晰的胡话也能得高分。",
    "tone_error_rate": "仅限普通话；包含判断本身的错误，请与真实录音比较；不判断轻声。",
    "pitch_distance": "比较高低和起伏，不看重音在哪个词上。",
    "pause_deviation": "只说明静音有多少，不说明是否在标点处。",
    "pace_deviation": "只说明一句话用了多久，不说明哪里快慢。",
    "failed_sentences": "听者会立刻拒绝的句子所占的比例。",
    "speaker_similarity": "与留出录音的余弦，除以录音之间的余弦。",
    "dnsmos": "为降噪设计的预测值，对干净的合成语音偏高。",
    "level_dbfs": "太轻或太响是设置问题，不是声音问题。",
    "peak_dbfs": "采样点之间的峰值可能更高；引擎调低音量之前的值。",
    "clipped_share": "软限幅不会留下平顶。",
    "bandwidth_hz": "电话音质也能通过 PESQ，这里能看出来。",
    "memorisation": "1 表示陌生句子与训练句子进步相同；以较大的网络为准。",
    "held_out_loss": "1 表示训练没有效果；以进步较多的网络为准。",
}
FACTS: dict[str, tuple[str, str]] = {
    "bandwidth_hz": ("roll-off, 99 % (Hz)", "滚降频率，99 %（Hz）"),
    "dnsmos": ("DNSMOS overall (MOS)", "DNSMOS 总分（MOS）"),
    "phone_error_rate": ("phoneme error rate", "音素错误率"),
    "word_error_rate": ("word error rate", "词语错误率"),
    "distilled_mos": ("DistillMOS (MOS)", "DistillMOS（MOS）"),
    "listener_error_rate": ("word error rate, Whisper", "Whisper 词语错误率"),
    "tone_error_rate": ("tone error rate", "声调错误率"),
    "speaker_similarity": ("similarity between recordings (cosine)", "录音之间的相似度（余弦）"),
}


def fact(name: str) -> tuple[str, str]:
    """Title of a fact about the recordings."""
    return FACTS.get(name, (name.replace("_", " "), "其他数值"))
