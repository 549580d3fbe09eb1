-- The statement holds every minute of the entries, once.
with sums as (
    select
        (select coalesce(sum(minutes_zammad), 0) from {{ ref('statement_lines') }}) as lines,
        (select coalesce(sum(minutes_zammad), 0) from {{ ref('fct_time_entries') }}) as entries
)

select * from sums
where lines <> entries
