"""A chart of the length of answers, as a third party would add it to the report."""

import plotly.graph_objects as go


def draw(compared):
    lengths = [[len(answer.text or "") for answer in one.answers.values()] for one in compared.candidates]
    means = [sum(each) / max(1, len(each)) for each in lengths]
    made = go.Figure(go.Bar(x=[one.label for one in compared.candidates], y=means))
    return made.update_layout(title={"text": "Length of answers"}, meta={"caption": "Characters, mean."})
