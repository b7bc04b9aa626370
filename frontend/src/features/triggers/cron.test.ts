import { expect, it } from 'vitest'
import { describeCron } from '@/features/triggers/cron'

it.each([
  // Times.
  ['15 2 * * *', 'Every day at 02:15'],
  ['15 2,14 * * *', 'Every day at 02:15 and 14:15'],
  ['0 0,12 * * *', 'Every day at 00:00 and 12:00'],
  ['0,30 8,9 * * *', 'Every day at 08:00, 08:30, 09:00 and 09:30'],
  ['* * * * *', 'Every minute'],
  ['*/1 */1 * * *', 'Every minute'],
  ['*/5 * * * *', 'Every 5 minutes'],
  ['0,15,30,45 * * * *', 'Every 15 minutes'],
  ['0,30 * * * *', 'Every 30 minutes'],
  ['0 * * * *', 'Every hour'],
  ['15 * * * *', 'Every hour at :15'],
  ['10,40 * * * *', 'Every hour at :10 and :40'],
  ['5,20 * * * *', 'Every hour at :05 and :20'],
  ['0 */6 * * *', 'Every 6 hours'],
  ['15 */2 * * *', 'Every 2 hours from 00:15'],
  ['0 1-23/2 * * *', 'Every 2 hours from 01:00'],
  ['50/5 8 * * *', 'Every day at 08:50 and 08:55'],
  ['0 9-17 * * *', 'Every hour from 09:00 to 17:00'],
  ['*/10 9-17 * * *', 'Every 10 minutes from 09:00 to 17:50'],
  ['* 9 * * *', 'Every minute from 09:00 to 09:59'],
  // Days of the week.
  ['15 2 * * 1-5', 'Mon to Fri at 02:15'],
  ['15 2 * * mon-fri', 'Mon to Fri at 02:15'],
  ['0 6 * * 1', 'Every Monday at 06:00'],
  ['0 6 * * 7', 'Every Sunday at 06:00'],
  ['0 6 * * 6,0', 'Sat and Sun at 06:00'],
  ['0 6 * * 5-7', 'Fri to Sun at 06:00'],
  ['0 6 * * 1,3,5', 'Mon, Wed and Fri at 06:00'],
  ['0 6 * * 1-5/2', 'Mon, Wed and Fri at 06:00'],
  ['0 6 * * */2', 'Tue, Thu, Sat and Sun at 06:00'],
  ['0 6 * * 0-6', 'Every day at 06:00'],
  ['*/15 9-17 * * 1-5', 'Mon to Fri, every 15 minutes from 09:00 to 17:45'],
  ['0 6 * * 1#1', 'On the 1st Monday of every month at 06:00'],
  ['0 6 * * fri#3', 'On the 3rd Friday of every month at 06:00'],
  ['0 6 * 3 5L', 'On the last Friday of Mar at 06:00'],
  // Days of the month.
  ['0 4 1 * *', 'On the 1st of every month at 04:00'],
  ['0 4 1,15 * *', 'On the 1st and 15th of every month at 04:00'],
  ['0 4 2-6 * *', 'On the 2nd to 6th of every month at 04:00'],
  ['0 4 */10 * *', 'On the 1st, 11th, 21st and 31st of every month at 04:00'],
  ['0 4 L * *', 'On the last day of every month at 04:00'],
  ['0 4 LW * *', 'On the last weekday of every month at 04:00'],
  ['0 */6 23 * *', 'On the 23rd of every month, every 6 hours'],
  // Months.
  ['0 0 1 */3 *', 'On the 1st of Jan, Apr, Jul and Oct at 00:00'],
  ['0 0 * jan,jul *', 'Every day at 00:00, in Jan and Jul'],
  ['0 6 * 6-8 1-5', 'Mon to Fri at 06:00, in Jun to Aug'],
  ['*/5 * * 12 *', 'Every 5 minutes, in Dec'],
  // Short forms.
  ['@hourly', 'Every hour'],
  ['@daily', 'Every day at 00:00'],
  ['@weekly', 'Every Sunday at 00:00'],
  ['@monthly', 'On the 1st of every month at 00:00'],
  ['@yearly', 'On the 1st of Jan at 00:00'],
  ['@midnight', 'Every day at 00:00'],
  ['@annually', 'On the 1st of Jan at 00:00'],
])('reads %j as %j', (cron, words) => {
  expect(describeCron(cron)).toBe(words)
})

it.each([
  ['0 4 1 * 1', 'either day: cron takes the 1st and every Monday'],
  ['0 4 1-31 * 1', 'either day, so every day: only a star means that the other decides'],
  ['0 4 */2 * 1', 'both days have to fit'],
  ['*/7 * * * *', 'not every 7 minutes: the hour begins anew'],
  ['5-59/10 * * * *', 'too many minutes to list'],
  ['0 1,3,4,8,20 * * *', 'too many hours to list'],
  ['0 4 */2 * *', 'too many days to list'],
  ['0 4 1 */2 *', 'too many months to list'],
  ['0 4 * * 1,1#2', 'which Monday of the month, beside every one'],
  ['0 0 4 * * *', 'six fields'],
  ['0 4 31-1 * *', 'no such days'],
  ['0 4 * * 8', 'no such day'],
  ['61 4 * * *', 'no such minute'],
  ['0/0 4 * * *', 'no step'],
  ['*/61 4 * * *', 'a step that leads nowhere'],
  ['50-50/5 8 * * *', 'a step from a minute to itself'],
  ['0 4 ? * *', 'a sign of other crons'],
  ['@fortnightly', 'no short form'],
  ['', 'nothing'],
])('has no sentence for %j (%s)', (cron) => {
  expect(describeCron(cron)).toBeNull()
})
