"""Rules: what a record must be like, and what is computed. See README.md."""

from rocket_rules.plugin import RulesPlugin as RulesPlugin
