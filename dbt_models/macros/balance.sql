{# The parts into which the minutes in Zammad fall; what they leave is unexplained. #}
{% macro balance_parts() %}
    {{ return([
        'minutes_kimai',
        'minutes_waiting',
        'minutes_excluded',
        'minutes_rounding',
        'minutes_corrections_open',
        'minutes_netted',
        'minutes_agreed',
        'minutes_adjusted',
    ]) }}
{% endmacro %}

{# All amounts of a row, in the order of a statement. #}
{% macro balance_columns() %}
    {{ return(
        ['minutes_zammad']
        + balance_parts()
        + ['minutes_unexplained', 'minutes_billable', 'minutes_billed', 'minutes_to_be_billed']
    ) }}
{% endmacro %}

{# The number of entries and the sums of all amounts, for a select with group by. #}
{% macro balance_sums(relation) -%}
    count(*) as entries
    {%- for column in balance_columns() %},
    sum({{ relation }}.{{ column }}) as {{ column }}
    {%- endfor %}
{%- endmacro %}
