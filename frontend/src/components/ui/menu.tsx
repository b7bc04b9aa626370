import { DropdownMenu as Radix } from 'radix-ui'
import type { ComponentProps } from 'react'
import { Icon, type IconName } from '@/components/icon'
import { cn } from '@/lib/cn'

export const MenuTrigger = Radix.Trigger
export const MenuRadioGroup = Radix.RadioGroup

/** The page behind stays reachable: a menu is no dialog. */
export function Menu(props: ComponentProps<typeof Radix.Root>) {
  return <Radix.Root modal={false} {...props} />
}

export function MenuContent({ className, ...props }: ComponentProps<typeof Radix.Content>) {
  return (
    <Radix.Portal>
      <Radix.Content
        sideOffset={6}
        collisionPadding={8}
        className={cn(
          'z-50 min-w-[200px] rounded-lg border border-border bg-card p-1 shadow-pop',
          className,
        )}
        {...props}
      />
    </Radix.Portal>
  )
}

const ITEM =
  'flex cursor-pointer items-center gap-2.5 rounded-sm px-2.5 py-[7px] outline-none select-none data-[highlighted]:bg-background'

export function MenuItem({
  icon,
  children,
  className,
  ...props
}: ComponentProps<typeof Radix.Item> & { icon: IconName }) {
  return (
    <Radix.Item className={cn(ITEM, className)} {...props}>
      <Icon name={icon} />
      {children}
    </Radix.Item>
  )
}

export function MenuRadioItem({
  icon,
  children,
  ...props
}: ComponentProps<typeof Radix.RadioItem> & { icon: IconName }) {
  return (
    <Radix.RadioItem className={ITEM} {...props}>
      <Icon name={icon} />
      {children}
      <Radix.ItemIndicator className="ml-auto">
        <Icon name="tick" className="size-3.5" />
      </Radix.ItemIndicator>
    </Radix.RadioItem>
  )
}

export function MenuLabel(props: ComponentProps<typeof Radix.Label>) {
  return (
    <Radix.Label
      className="px-2.5 pt-2 pb-1 text-tiny font-medium text-muted-foreground"
      {...props}
    />
  )
}

export function MenuSeparator() {
  return <Radix.Separator className="my-1 h-px bg-border-soft" />
}
