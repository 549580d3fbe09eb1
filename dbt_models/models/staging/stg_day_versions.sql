{% set closed_before = var('first_open_day') or '-infinity' -%}

with row_versions as (
    select
        entry_date,
        'booking' as kind,
        source_id as id,
        row_version
    from {{ ref('stg_bookings') }}
    union all
    select
        entry_date,
        'entry' as kind,
        source_id as id,
        row_version
    from {{ ref('stg_entries') }}
    union all
    select
        entry_date,
        'line' as kind,
        line_key as id,
        row_version
    from {{ ref('stg_plan_lines') }}
    union all
    select
        entry_date,
        'ledger' as kind,
        source_id as id,
        row_version
    from {{ ref('stg_ledger') }}
    union all
    select
        ledger.entry_date,
        'timesheet' as kind,
        timesheets.kimai_id::text as id,
        timesheets.row_version
    from {{ ref('stg_ledger') }} as ledger
    inner join {{ ref('stg_timesheets') }} as timesheets on ledger.kimai_id = timesheets.kimai_id
    union all
    select
        days.entry_date,
        'adjustment' as kind,
        coalesce(adjustments.carried_by, '') as id,
        adjustments.row_version
    from {{ ref('stg_adjustments') }} as adjustments
    cross join lateral (values (adjustments.original_day), (adjustments.entry_date)) as days (entry_date)
    union all
    select
        bookings.entry_date,
        'closed' as kind,
        closed.closed_month::text as id,
        '' as row_version
    from (select distinct entry_date from {{ ref('stg_bookings') }}) as bookings
    inner join {{ ref('stg_closed_months') }} as closed
        on date_trunc('month', bookings.entry_date) = closed.closed_month
    union all
    -- A time sheet without booking stands in the plan of its own day, and counts on the day of its booking.
    select
        coalesce(ledger.entry_date, lines.entry_date) as entry_date,
        'stray' as kind,
        lines.line_key as id,
        lines.row_version || coalesce(timesheets.row_version, '') as row_version
    from {{ ref('stg_plan_lines') }} as lines
    left join {{ ref('stg_ledger') }} as ledger on lines.kimai_id = ledger.kimai_id
    left join {{ ref('stg_timesheets') }} as timesheets on lines.kimai_id = timesheets.kimai_id
    where lines.source_id is null
)

select
    entry_date,
    concat_ws(
        ':',
        count(*),
        sum(hashtextextended(concat_ws('/', kind, id, row_version), 0)::numeric),
        {{ var('minutes_per_unit') }},
        entry_date < '{{ closed_before }}'::date,
        '{{ models_version() }}'
    ) as day_version
from row_versions
group by entry_date
