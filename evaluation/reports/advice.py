"""Advice for each red gate, in English and Chinese."""

from __future__ import annotations

ADVICE: dict[str, tuple[str, str]] = {
    "pesq_nb": (
        "The model cannot reproduce these recordings faithfully. Look at the report of stage 1: noise, reverberation "
        "and clipping are the usual causes. Record again closer to the microphone in a quiet, furnished room.",
        "模型无法忠实还原这些录音。请看阶段一的报告：噪声、混响和削波是最常见的原因。请在安静、有家具的房间里靠近话筒重新录制。",
    ),
    "stoi": (
        "Words become hard to understand after the round trip through the model. Check the recordings for noise and "
        "reverberation.",
        "经过模型之后，词语变得难以听清。请检查录音中的噪声和混响。",
    ),
    "phone_error_rate": (
        "The voice does not say what the text says. Check that every line of metadata.csv matches its recording word "
        "for word, then add more recordings.",
        "合成的内容与文本不符。请逐句核对 metadata.csv 与录音是否完全一致，然后再补充一些录音。",
    ),
    "word_error_rate": (
        "Words are lost. Check that every line of metadata.csv matches its recording word for word; training.json "
        "shows under trade_off what weaker adapters would say.",
        "有词语听不出来。请逐句核对 metadata.csv 与录音是否一致；较弱适配器的效果见 training.json 的 trade_off。",
    ),
    "listener_error_rate": (
        "A listener misses words. Check that every line of metadata.csv matches its recording word for word, then add "
        "more recordings.",
        "听者会听错或漏掉词语。请逐句核对 metadata.csv 与录音是否完全一致，然后再补充一些录音。",
    ),
    "tone_error_rate": (
        "Tones are wrong. Check that every line of metadata.csv matches its recording, add readings of unusual words "
        "to lexicon.txt, then add more recordings.",
        "声调不对。请逐句核对 metadata.csv 与录音是否一致，把生僻词的读音写进 lexicon.txt，然后再补充一些录音。",
    ),
    "pitch_distance": (
        "The melody is not that of the recordings: flatter, livelier, higher or lower. Record whole sentences in one "
        "mood, and add more of them.",
        "语调与录音不符：太平、太夸张、太高或太低。请用同一种语气录制完整的句子，并再补充一些录音。",
    ),
    "pause_deviation": (
        "The voice pauses more or less than its recordings. Check that the marks of every text stand where the speaker "
        "pauses.",
        "停顿比录音多或少。请检查每句文本的标点是否与说话人的停顿一致。",
    ),
    "distilled_mos": (
        "The audio is predicted to sound poor. Use cleaner recordings, closer to the microphone.",
        "预测听感较差。请使用更干净、离话筒更近的录音。",
    ),
    "pace_deviation": (
        "The voice is much faster or slower than its recordings. Look for long silences and wrong transcripts.",
        "合成的语速与录音相差太大。请检查录音中的长静音和不符的文本。",
    ),
    "failed_sentences": (
        "Too many sentences stop early, repeat themselves or run too long. Wrong transcripts and long silences in the "
        "recordings cause this; correct them, or train with fewer steps.",
        "太多句子提前结束、重复或拖得过长。通常是文本不符或录音中的长静音造成的；请改正，或减少训练步数。",
    ),
    "speaker_similarity": (
        "The voice does not sound like its own recordings. Make sure that only one person speaks in them, and add a "
        "minute more.",
        "合成的声音不像录音中的本人。请确认录音里只有一个人说话，并再补充一分钟录音。",
    ),
    "dnsmos": (
        "The audio is predicted to sound noisy or artificial. Use cleaner recordings.",
        "预测听感有噪声或不自然。更干净的录音最有帮助。",
    ),
    "level_dbfs": (
        "The voice is too quiet. Record louder; stage 1 raises the level, but it raises the noise as well.",
        "声音太轻。请录得响一些；阶段一会提高音量，但噪声也会一起提高。",
    ),
    "peak_dbfs": ("The audio clips. Record at a lower level.", "声音削波。请降低录音电平。"),
    "bandwidth_hz": (
        "The voice sounds like a telephone. Use recordings of at least 16 kHz that were never sent through a phone or "
        "messenger.",
        "声音听起来像电话。请使用至少 16 kHz、没有经过电话或聊天软件压缩的录音。",
    ),
    "clipped_share": (
        "The voice has flat tops: something clips. Record at a lower level; stage 1 names the clips that are clipped.",
        "声音有削平的波峰，说明有削波。请降低录音电平；阶段一会列出削波的录音。",
    ),
    "held_out_loss": (
        "The adapter that is kept does not improve on the base: training had no effect, or every stronger adapter cost "
        "words (`trade_off` in training.json). Check that the texts match the recordings, add recordings, or train "
        "with more steps.",
        "保留下来的适配器没有比底模更像这个声音：训练没有效果，或更强的适配器会损失字词"
        "（见 training.json 的 `trade_off`）。请检查文本与录音是否一致，补充录音，或增加训练步数。",
    ),
    "memorisation": (
        "The adapter memorised its recordings. Add recordings or train with fewer steps.",
        "适配器只是背下了录音。请补充录音，或减少训练步数。",
    ),
}


def advice(metric: str) -> tuple[str, str]:
    """(English, Chinese) advice for a metric; variants of one metric share their advice."""
    for name, texts in ADVICE.items():
        if metric == name or metric.split("_")[0] == name.split("_")[0]:
            return texts
    return (
        "Listen to the worst sample named beside the gate and compare it with the recording.",
        "请听旁边列出的最差样本，并与录音比较。",
    )
