import { useForm } from 'react-hook-form'
import { explain, InlineError } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import { Field, Input } from '@/components/ui/field'
import { type Pool, useSetPool } from '@/features/pools/api'
import { plural } from '@/lib/format'
import { toast } from '@/store/toasts'

type PoolDialogProps = {
  open: boolean
  onClose: () => void
  /** Left out for a new one. */
  pool?: Pool
}

/** How many slots a pool has; its name too, when it is new. */
export function PoolDialog({ open, onClose, pool }: PoolDialogProps) {
  const title = pool ? `${pool.slots === null ? 'Define' : 'Change'} pool ${pool.name}` : 'New pool'
  return (
    <Dialog
      open={open}
      onOpenChange={(wanted) => !wanted && onClose()}
      title={title}
      description="So many stages that name the pool run at the same time."
    >
      <PoolForm onDone={onClose} {...(pool && { pool })} />
    </Dialog>
  )
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/
const MOST_SLOTS = 100_000

function PoolForm({ pool, onDone }: { pool?: Pool; onDone: () => void }) {
  const set = useSetPool()
  const form = useForm({
    defaultValues: { name: pool?.name ?? '', slots: String(pool?.slots ?? 1) },
  })
  const { errors } = form.formState
  const wanted = Number(form.watch('slots'))
  const submit = form.handleSubmit(({ name, slots }) =>
    set.mutate(
      { name: name.trim(), slots: Number(slots) },
      {
        onSuccess: (answer) => {
          toast('success', `Pool ${answer.name} has ${plural(answer.slots ?? 0, 'slot')}.`)
          onDone()
        },
      },
    ),
  )
  return (
    <form noValidate onSubmit={submit} className="flex flex-col gap-4">
      {!pool && (
        <Field label="Name" hint="As stages name it: pool: cpu_heavy" error={errors.name?.message}>
          {(control) => (
            <Input
              {...control}
              autoComplete="off"
              spellCheck={false}
              {...form.register('name', {
                validate: (name) =>
                  NAME.test(name.trim()) ||
                  'Use letters, digits, _, - and ., beginning with a letter, digit or _, at most 80.',
              })}
            />
          )}
        </Field>
      )}
      <Field label="Slots" hint={consequence(pool, wanted)} error={errors.slots?.message}>
        {(control) => (
          <Input
            {...control}
            className="max-w-[140px]"
            inputMode="numeric"
            {...form.register('slots', {
              validate: (slots) =>
                (/^\d+$/.test(slots.trim()) && Number(slots) <= MOST_SLOTS) ||
                `A whole number from 0 to ${MOST_SLOTS.toLocaleString('en')}.`,
            })}
          />
        )}
      </Field>
      {set.error && <InlineError>{explain(set.error)}</InlineError>}
      <div className="flex justify-end">
        <Button type="submit" variant="primary" disabled={set.isPending}>
          Save
        </Button>
      </div>
    </form>
  )
}

function consequence(pool: Pool | undefined, slots: number): string {
  if (slots === 0) return '0 lets nothing start.'
  if (pool && slots < pool.used) {
    return `${plural(pool.used, 'is', 'are')} used now: what runs goes on, nothing starts before enough are free.`
  }
  return 'Who waits is let in at once where there are more.'
}
