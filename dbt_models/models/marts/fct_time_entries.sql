{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='entry_date',
    on_schema_change='sync_all_columns',
    pre_hook="{{ forget_vanished_days() }}",
    indexes=[{'columns': ['entry_key'], 'unique': true}, {'columns': ['entry_date']}],
) }}
{% set days = changed_days() -%}
{% set closed_before = var('first_open_day') or '-infinity' -%}

with bookings as (
    select * from {{ ref('stg_bookings') }}
    where not is_gone
),

entries as (
    select * from {{ ref('stg_entries') }}
    where {{ only_days(days, 'entry_date') }}
),

timesheets as (
    select * from {{ ref('stg_timesheets') }}
),

ledger as (
    select * from {{ ref('stg_ledger') }}
),

adjustments as (
    select * from {{ ref('stg_adjustments') }}
),

adjusted as (
    select
        adjustments.source_id,
        adjustments.account,
        sum(adjustments.minutes) as minutes,
        -- What Kimai's rounding added to the time sheets that carry them.
        sum(coalesce({{ minutes('ledger.base_seconds') }} - adjustments.minutes, 0)) as rounded
    from adjustments
    left join ledger on adjustments.carried_by = ledger.source_id
    group by adjustments.source_id, adjustments.account
),

stray_lines as (
    -- A time sheet that was moved may stand in the plans of two days; the newer plan counts.
    select distinct on (kimai_id) *
    from {{ ref('stg_plan_lines') }}
    where source_id is null
    order by kimai_id asc, reconciled_at desc
),

plan_lines as (
    select * from {{ ref('stg_plan_lines') }}
    where source_id = line_key and {{ only_days(days, 'entry_date') }}
    union all
    select * from stray_lines
),

subjects as (
    select
        bookings.source_id as entry_key,
        bookings.source_id,
        bookings.entry_date,
        bookings.ticket_id,
        bookings.agent_id,
        bookings.activity_type_id,
        bookings.organization_id,
        bookings.minutes_booked as minutes_zammad,
        ledger.kimai_id
    from bookings
    left join ledger on bookings.source_id = ledger.source_id
    where {{ only_days(days, 'bookings.entry_date') }}
    union all
    -- Adjustments, which stand for minutes of a booking of another day.
    select
        adjustments.carried_by as entry_key,
        adjustments.carried_by as source_id,
        adjustments.entry_date,
        null as ticket_id,
        null as agent_id,
        null as activity_type_id,
        null as organization_id,
        0 as minutes_zammad,
        ledger.kimai_id
    from adjustments
    left join ledger on adjustments.carried_by = ledger.source_id
    where adjustments.carried_by is not null and {{ only_days(days, 'adjustments.entry_date') }}
    union all
    -- Time sheets of ours whose booking is gone.
    select
        'kimai:' || ledger.kimai_id as entry_key,
        ledger.source_id,
        ledger.entry_date,
        gone.ticket_id,
        gone.agent_id,
        gone.activity_type_id,
        gone.organization_id,
        0 as minutes_zammad,
        ledger.kimai_id
    from ledger
    inner join timesheets on ledger.kimai_id = timesheets.kimai_id
    left join {{ ref('stg_bookings') }} as gone on ledger.source_id = gone.source_id
    left join adjustments on ledger.source_id = adjustments.carried_by
    where coalesce(gone.is_gone, true) and adjustments.carried_by is null and {{ only_days(days, 'ledger.entry_date') }}
    union all
    -- The same where the ledger does not know them, by their marker.
    select
        stray_lines.line_key as entry_key,
        null as source_id,
        stray_lines.entry_date,
        null as ticket_id,
        null as agent_id,
        null as activity_type_id,
        null as organization_id,
        0 as minutes_zammad,
        stray_lines.kimai_id
    from stray_lines
    inner join timesheets on stray_lines.kimai_id = timesheets.kimai_id
    left join ledger on stray_lines.kimai_id = ledger.kimai_id
    where ledger.source_id is null and {{ only_days(days, 'stray_lines.entry_date') }}
    union all
    -- Adjusted bookings of which neither booking nor time sheet is left, while the plan asks about them.
    select
        plan_lines.line_key as entry_key,
        plan_lines.source_id,
        plan_lines.entry_date,
        gone.ticket_id,
        gone.agent_id,
        gone.activity_type_id,
        gone.organization_id,
        0 as minutes_zammad,
        null as kimai_id
    from plan_lines
    inner join {{ ref('stg_bookings') }} as gone on plan_lines.source_id = gone.source_id and gone.is_gone
    left join ledger on plan_lines.source_id = ledger.source_id
    left join timesheets on ledger.kimai_id = timesheets.kimai_id
    where timesheets.kimai_id is null and plan_lines.source_id in (select adjusted.source_id from adjusted)
),

homes as (
    -- The account to which an adjusted booking belongs: where the plan wants it, else where its time sheet stands.
    select
        subjects.source_id,
        coalesce(plan_lines.account, timesheets.account, min(adjusted.account)) as account,
        timesheets.account as sheet_account
    from subjects
    inner join adjusted on subjects.source_id = adjusted.source_id
    left join plan_lines on subjects.entry_key = plan_lines.line_key
    left join timesheets on subjects.kimai_id = timesheets.kimai_id
    group by subjects.source_id, plan_lines.account, timesheets.account
),

standing as (
    -- Wherever an adjusted booking has, or had, minutes.
    select
        source_id,
        account,
        true as is_home,
        coalesce(sheet_account = account, true) as has_sheet,
        0 as minutes,
        0 as rounded
    from homes
    union all
    select
        source_id,
        sheet_account as account,
        false as is_home,
        true as has_sheet,
        0 as minutes,
        0 as rounded
    from homes
    where sheet_account is not null
    union all
    select
        source_id,
        account,
        false as is_home,
        false as has_sheet,
        minutes,
        rounded
    from adjusted
    where minutes <> 0 or rounded <> 0
),

sides as (
    select
        source_id,
        account,
        bool_or(is_home) as is_home,
        bool_or(has_sheet) as has_sheet,
        sum(minutes) as minutes,
        sum(rounded) as rounded
    from standing
    group by source_id, account
),

placed as (
    -- An adjusted booking is told account by account: minutes booked at home, the billed time sheet and the
    -- adjustments where they stand. All else is told at the account of its time sheet.
    select
        subjects.*,
        sides.account,
        coalesce(sides.is_home, true) as is_home,
        coalesce(sides.has_sheet, true) as has_sheet,
        coalesce({{ account_user('sides.account') }} = {{ account_user('homes.account') }}, true) as is_own_agent,
        coalesce({{ account_activity('sides.account') }} = {{ account_activity('homes.account') }}, true)
            as is_own_activity,
        coalesce(sides.minutes, 0) as adjusted,
        coalesce(sides.rounded, 0) as rounded
    from subjects
    left join homes on subjects.source_id = homes.source_id
    left join sides on homes.source_id = sides.source_id
),

measured as (
    select
        case
            when subjects.is_home then subjects.entry_key
            else subjects.source_id || '@' || subjects.account
        end as entry_key,
        subjects.source_id,
        subjects.entry_date,
        subjects.ticket_id,
        case when subjects.is_home then subjects.minutes_zammad else 0 end as minutes_zammad,
        entries.ticket_number,
        plan_lines.status,
        plan_lines.action,
        plan_lines.decided,
        plan_lines.reason,
        case when subjects.is_home then plan_lines.customer_id end as planned_customer_id,
        timesheets.kimai_id,
        coalesce({{ account_user('subjects.account') }}, timesheets.user_id) as kimai_user_id,
        coalesce({{ account_project('subjects.account') }}, timesheets.project_id) as kimai_project_id,
        case when not subjects.is_own_activity then {{ account_activity('subjects.account') }} end as kimai_activity_id,
        case when subjects.is_own_agent then coalesce(entries.agent_id, subjects.agent_id) end as agent_id,
        case when subjects.is_own_agent then entries.agent end as agent,
        case when subjects.is_own_agent then entries.agent_email end as agent_email,
        case
            when subjects.is_own_activity then coalesce(entries.activity_type_id, subjects.activity_type_id)
        end as activity_type_id,
        case when subjects.is_home then coalesce(entries.organization_id, subjects.organization_id) end
            as organization_id,
        case when subjects.is_home then coalesce(entries.booked_minutes, 0) else 0 end as booked,
        case when subjects.is_home then coalesce(entries.time_minutes, 0) else 0 end as netted_to,
        case when subjects.is_home then coalesce(entries.open_minutes, 0) else 0 end as still_open,
        case when subjects.is_home then coalesce(plan_lines.minutes, 0) else 0 end as planned,
        case when subjects.is_home then coalesce(carried.minutes, 0) else 0 end as carried,
        subjects.adjusted as adjusted_elsewhere,
        coalesce(plan_lines.reason, '') = 'adjusted' as is_adjusted,
        -- Whether an adjustment starts from what was asked for, rather than from what the time sheet says.
        timesheets.kimai_id is not null and ledger.is_linked is not true as is_adjusted_from_asked,
        plan_lines.facts_hash = ledger.facts_hash as is_written_off,
        -- What is billed beyond what the booking says, where it is made up for; plans of older versions do not say.
        case
            when plan_lines.rounding_minutes is null then null
            when subjects.is_home then -{{ minutes('round(plan_lines.rounding_minutes * 60)') }}
            else subjects.rounded
        end as rounding_made_up_for,
        case when subjects.has_sheet then {{ minutes('ledger.asked_seconds') }} end as asked,
        case when subjects.has_sheet then {{ minutes('ledger.base_seconds') }} end as returned,
        case when subjects.has_sheet then {{ minutes('ledger.base_answer_seconds') }} end as answered,
        coalesce({{ minutes('timesheets.duration_seconds') }}, 0) as minutes_kimai,
        coalesce({{ minutes('timesheets.answer_seconds') }}, 0) as answered_now,
        coalesce(timesheets.is_billable, false) as is_billable,
        coalesce(timesheets.is_billed, false) as is_billed,
        ledger.is_taken_as_found,
        ledger.state = 'confirmed' and ledger.updated_at >= plan_lines.reconciled_at as is_written_since,
        ledger.is_taken_back and ledger.updated_at >= plan_lines.reconciled_at as is_taken_back_since,
        timesheets.is_billed
        or subjects.entry_date < '{{ closed_before }}'::date
        or closed.closed_month is not null as is_locked
    from placed as subjects
    left join entries on subjects.entry_key = entries.source_id
    left join plan_lines on subjects.entry_key = plan_lines.line_key
    left join ledger on subjects.source_id = ledger.source_id
    left join timesheets on subjects.kimai_id = timesheets.kimai_id and subjects.has_sheet
    left join {{ ref('stg_closed_months') }} as closed
        on date_trunc('month', subjects.entry_date) = closed.closed_month
    left join adjustments as carried on subjects.source_id = carried.carried_by
),

judged as (
    select
        measured.*,
        case
            when action is null then 'unplanned'
            when decided = 'ignore' then 'ignored'
            when is_taken_back_since and status <> 'excluded' then 'waiting'
            when action in ('create', 'update', 'link') and is_written_since then 'in_kimai'
            when status = 'in_sync' and action = 'none' then 'in_kimai'
            when decided = 'keep' then 'kept'
            when action <> 'none' then 'waiting'
            when status = 'excluded' then 'excluded'
            else 'unplanned'
        end as outcome,
        -- The plan is about the booking as it is now.
        planned = netted_to as is_current
    from measured
),

balanced as (
    select
        judged.*,
        booked + carried - netted_to + still_open as minutes_netted,
        case when outcome = 'ignored' then 0 else -still_open end as minutes_corrections_open,
        case
            when outcome = 'waiting' or (outcome = 'in_kimai' and not is_current)
                then planned - adjusted_elsewhere - answered_now
            else 0
        end as minutes_waiting,
        case
            when outcome = 'ignored' then planned - adjusted_elsewhere - answered_now - still_open
            when outcome = 'excluded' then planned - adjusted_elsewhere - answered_now
            else 0
        end as minutes_excluded,
        case
            when outcome <> 'in_kimai' or not is_current then 0
            when is_adjusted and is_written_off and rounding_made_up_for is not null then 0
            else
                -- Kimai knows no fractions of a second; then its own rounding.
                netted_to - {{ minutes('round(netted_to * 60)') }}
                + case
                    when is_adjusted and rounding_made_up_for is not null then rounding_made_up_for
                    when is_taken_as_found or (is_adjusted and not is_adjusted_from_asked) then 0
                    else coalesce(asked - returned, 0)
                end
        end as minutes_rounding,
        case
            when outcome = 'kept' then planned - adjusted_elsewhere - answered_now
            when outcome <> 'in_kimai' or not is_current then 0
            -- An adjustment makes up for what is there; what a person wrote off after it holds.
            when is_adjusted and is_written_off then planned - adjusted_elsewhere - answered_now
            when is_adjusted
                then case
                    when rounding_made_up_for is not null then 0
                    when is_taken_as_found and is_adjusted_from_asked then coalesce(asked - returned, 0)
                    else 0
                end
            else
                case when is_taken_as_found then coalesce(asked - returned, 0) else 0 end
                -- What was edited in Kimai after it was billed or closed holds.
                + case when is_locked then coalesce(answered - answered_now, 0) else 0 end
        end as minutes_agreed,
        adjusted_elsewhere - carried as minutes_adjusted,
        case when is_billable then minutes_kimai else 0 end as minutes_billable,
        case when is_billed then minutes_kimai else 0 end as minutes_billed,
        case when is_billable and not is_billed then minutes_kimai else 0 end as minutes_to_be_billed
    from judged
),

explained as (
    select
        balanced.*,
        minutes_zammad - ({{ balance_parts() | join(' + ') }}) as minutes_unexplained
    from balanced
)

select
    explained.entry_key,
    explained.source_id,
    explained.kimai_id,
    explained.entry_date,
    explained.ticket_id,
    explained.ticket_number,
    explained.agent_id,
    explained.agent,
    explained.agent_email,
    explained.kimai_user_id,
    explained.activity_type_id,
    explained.organization_id,
    explained.kimai_project_id,
    explained.kimai_activity_id,
    explained.planned_customer_id,
    explained.outcome,
    explained.reason,
    explained.is_billable,
    explained.is_billed,
    {% for column in balance_columns() -%}
        explained.{{ column }}::numeric(18, 6) as {{ column }},
    {% endfor -%}
    versions.day_version,
    now() as built_at
from explained
left join {{ ref('stg_day_versions') }} as versions
    on explained.entry_date = versions.entry_date and {{ only_days(days, 'versions.entry_date') }}
