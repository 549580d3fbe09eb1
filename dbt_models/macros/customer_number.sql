{# The number of the customer of an organization, as the pipeline makes it (`domain/numbers.py`). #}
{% macro customer_number(organization_id) -%}
    '{{ var("number_space") }}-org-' || case
        when
            length({{ organization_id }}) <= 21
            and {{ organization_id }} ~ '^(0|[1-9][0-9]*|(?!org-)[a-z]+-[0-9]+)$'
            then {{ organization_id }}
        when octet_length({{ organization_id }}) <= 10
            then 'x' || encode(convert_to({{ organization_id }}, 'UTF8'), 'hex')
        else 'y' || left(encode(sha256(convert_to({{ organization_id }}, 'UTF8')), 'hex'), 20)
    end
{%- endmacro %}
