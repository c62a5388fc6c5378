"""Reports of stage 4: for machines (JSON, JUnit, OpenMetrics) and for people (Markdown, a page that needs nothing
else).
"""
