{# Whose account minutes stand on in Kimai, as one value: user, project and activity. A project that is not made yet is
   known by its number, which is never digits alone. #}
{% macro account(user_id, project, activity_id) -%}
    {{ user_id }} || '/' || {{ project }} || '/' || {{ activity_id }}
{%- endmacro %}

{% macro account_user(account) -%}
    split_part({{ account }}, '/', 1)::bigint
{%- endmacro %}

{% macro account_project(account) -%}
    substring({{ account }} from '/(\d+)/')::bigint
{%- endmacro %}

{% macro account_activity(account) -%}
    split_part({{ account }}, '/', 3)::bigint
{%- endmacro %}
