"""The list of cases and an opened case in Chinese: the part of `harness.report.chinese` that is about single cases."""

from __future__ import annotations

CASES: dict[str, str] = {
    # The list of cases
    "all": "全部",
    "regressed": "变差",
    "improved": "变好",
    "got worse": "变差",
    "got better": "变好",
    "changed": "有变化",
    "missed now": "现在未通过",
    "passed now": "现在通过",
    "broken": "红线被破",
    "held": "红线守住",
    "missed": "未通过",
    "passed": "通过",
    "text": "文本",
    "in ids, prompts, answers and explanations": "在编号、提问、回答和说明中查找",
    "set": "用例集",
    "tag": "标签",
    "check": "检查",
    "order": "排序",
    "worst first": "最差在前",
    "by id": "按编号",
    "by set": "按用例集",
    "longer than the baseline": "比基线长",
    "shorter than the baseline": "比基线短",
    "clear": "清除",
    "all sets": "全部用例集",
    "all tags": "全部标签",
    "any failed check": "任一未过的检查",
    "{k} of {n} cases": "{n} 个用例中的 {k} 个",
    "searching the answers, {percent}%": "正在查找回答，{percent}%",
    "No case is like that.": "没有这样的用例。",
    "show {n} more of {rest}": "再显示 {n} 个（还有 {rest} 个）",
    "With this text outside the filter: {n}. Show them": "筛选之外含有此文本的还有 {n} 个。显示它们",
    "any alarm": "任一警报",
    "back to the top": "回到顶部",
    "The baseline's answers were cut off at max_tokens in {n} cases; a check sees only what was written until there.": (
        "基线有 {n} 个用例的回答在 max_tokens 处截断；检查只能看到截断之前写出的内容。"
    ),
    "The answers are not shown: texts.json.gz was not beside record.json when this page was written.": (
        "此页没有答案：写这份报告时，record.json 旁边没有 texts.json.gz。"
    ),
    "The list needs JavaScript, which is off here. record.json and texts.json.gz hold every case.": (
        "列表需要 JavaScript，而这里已关闭。record.json 和 texts.json.gz 中有全部用例。"
    ),
    # One case
    "Asked": "提问",
    "Expected": "期望",
    "{k} of {n} samples pass": "{n} 次采样通过 {k} 次",
    "scores {share}": "得分 {share}",
    "… show all {n} characters": "……显示全部 {n} 个字符",
    "{read} tokens read, {written} written": "读入 {read} 个词元，写出 {written} 个",
    "{n} characters": "{n} 个字符",
    "cut off at max_tokens": "在 max_tokens 处截断",
    "cut off": "截断",
    "waived": "已豁免",
    "unstable": "不稳定",
    "Both gave the very same answer.": "两者回答完全相同。",
    "Words that differ are marked.": "不同的字词已标出。",
    "sample": "采样",
    "What was sent": "实际发送的内容",
    "what the root base says": "原始模型的回答",
    "what it found": "发现",
    "choice": "选项",
    "right": "正确",
    "taken": "所选",
    "The right choice, which this record does not name.": "选对了，但记录中没有写明是哪个选项。",
    "A wrong choice, which this record does not name.": "选错了，但记录中没有写明是哪个选项。",
    "How likely each choice was: log-likelihoods, the nearer to 0 the likelier. The likeliest is taken.": (
        "每个选项的可能性：对数似然，越接近 0 越可能。取最可能的一个。"
    ),
    "This record keeps of the choices only what the check names; new runs keep all, with both models' likelihoods.": (
        "这份记录只保留了检查提到的选项；新的运行会保留全部选项和两个模型的似然。"
    ),
    "red line held": "红线守住",
    "red line broken": "红线被破",
    "A red line is broken: none may be.": "有红线被破：一条都不允许。",
    "The red line was kept in some samples only: unstable, and not counted as broken.": (
        "红线只在部分采样中守住：不稳定，不算被破。"
    ),
    "The red line holds, though another check is missed: a red line is one check, not the whole case.": (
        "红线守住了，但另一项检查未通过：红线只是其中一项检查，不是整个用例。"
    ),
    "The red line holds.": "红线守住了。",
}
