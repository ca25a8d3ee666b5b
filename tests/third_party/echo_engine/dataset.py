"""Numbers as questions, without pictures."""

from runner.datasets.reader import Row


def read(config, path):
    for number in range(int(config.options.get("count", 5))):
        yield Row(
            f"{path}:{number}",
            id=str(number),
            document=f"page {number // 2}",
            images=(),
            question=f"{number} is the number",
            references=(str(number),),
        )
