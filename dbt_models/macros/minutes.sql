{# Whole seconds as minutes. Every amount in seconds goes through here, so that equal seconds are equal minutes and
   sums of differences are exact. #}
{% macro minutes(seconds) -%}
    round(({{ seconds }})::numeric / 60, 6)
{%- endmacro %}
