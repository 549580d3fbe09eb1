{{ config(severity='warn') }}

-- What one booking loses to a correction, the correction gets: within a ticket, agent and type nothing is lost.
select
    bookings.ticket_id,
    bookings.agent_id,
    bookings.activity_type_id,
    sum(entries.booked_minutes - entries.time_minutes + entries.open_minutes) as minutes_lost
from {{ ref('stg_bookings') }} as bookings
inner join {{ ref('stg_entries') }} as entries on bookings.source_id = entries.source_id
where not bookings.is_gone
group by bookings.ticket_id, bookings.agent_id, bookings.activity_type_id
having sum(entries.booked_minutes - entries.time_minutes + entries.open_minutes) <> 0
